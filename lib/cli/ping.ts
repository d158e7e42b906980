import { sleep } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import { formatUrl, type FshUrl } from "../client/url.ts";
import type { Args, Environment, Subcommand } from "./args.ts";
import { connectClassic } from "./classic_connection.ts";
import { connect, CONNECTION_OPTIONS, remoteUrl } from "./connection.ts";
import { print } from "./output.ts";
import { parseDuration, parseWhole } from "./values.ts";

export const pingCommand: Subcommand = {
  name: "ping",
  usage: ["[-c N] [-i TIME] URL"],
  summary: "measure the round trip to a server",
  details: `Sends PING frames over a session and prints when the PONG came, until Ctrl-C or N of them; then a summary.

  fsh ping -c 3 fsh://host/`,
  options: [
    { name: "count", short: "c", value: "N", help: "stop after N" },
    { name: "interval", short: "i", value: "TIME", default: "1s", help: "pause between two" },
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 1, max: 1 },

  async run(args, environment) {
    const url = remoteUrl(args.operands[0] ?? "");
    const count = args.has("count") ? parseWhole("count", args.value("count"), { min: 1, max: 1e9 }) : Infinity;
    const interval = parseDuration("interval", args.value("interval"));
    const stopped = new Promise<"stopped">((resolve) => {
      environment.signal.addEventListener("abort", () => resolve("stopped"));
    });
    const { client, remote, lost } = await open(url, args, environment);
    const times: number[] = [];
    let sent = 0;
    const begun = performance.now();
    print(`PING ${formatUrl(url)} (${remote})`);
    try {
      while (sent < count && !environment.signal.aborted) {
        sent++;
        const time = await Promise.race([client.ping(), stopped]);
        if (time === "stopped") break;
        times.push(time);
        print(`PONG from ${remote}: seq=${sent} time=${time.toFixed(3)} ms`);
        if (sent < count) await Promise.race([sleep(interval), stopped, lost]);
      }
    } finally {
      summarize(formatUrl(url), sent, times, performance.now() - begun);
      await client.close();
    }
    return times.length > 0 ? 0 : 1;
  },
};

/** `lost` rejects once the session has ended: at once, and not only with the next PING. */
async function open(url: FshUrl, args: Args, environment: Environment) {
  if (url.scheme === "classic") {
    const client = await connectClassic(url, args, environment);
    return { client, remote: client.remote, lost: new Promise<never>(() => {}) };
  }
  const client = await connect(url, args, environment);
  const lost = client.ended.then(({ error }) => Promise.reject(error ?? new FshError("GOING_AWAY")));
  lost.catch(() => {});
  return { client, remote: client.session.remote, lost };
}

function summarize(url: string, sent: number, times: readonly number[], elapsed: number): void {
  const lost = sent === 0 ? 0 : Math.round(100 * (sent - times.length) / sent);
  print(`--- ${url} ping statistics ---`);
  print(`${sent} sent, ${times.length} received, ${lost}% lost, time ${Math.round(elapsed)} ms`);
  if (times.length === 0) return;
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const deviation = Math.sqrt(times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / times.length);
  const figures = [Math.min(...times), mean, Math.max(...times), deviation].map((ms) => ms.toFixed(3)).join("/");
  print(`rtt min/avg/max/mdev = ${figures} ms`);
}
