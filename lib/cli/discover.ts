import { jsonText, printable } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import type { Found } from "../discovery/findings.ts";
import { formatAddress } from "../transport/transport.ts";
import type { Subcommand } from "./args.ts";
import { print } from "./output.ts";
import { parseDuration } from "./values.ts";

const HINT = "servers are found that run with --announce NAME, on the same network; UDP port 5353 must be open";

export const discoverCommand: Subcommand = {
  name: "discover",
  usage: ["[--time TIME] [--json]"],
  summary: "find servers on the local network",
  details: `Asks all networks of this machine, by multicast DNS, for servers that were started with --announce NAME.
A line for each of a server's addresses has its name, URL and the fingerprint of its certificate (-: none).
Nothing of it is proven: anybody on the network can announce anything. Compare the fingerprint with the server's own,
or connect, and fsh asks. Exit status 5: none was found.

  fsh discover
  fsh discover --time 10s --json     one JSON object for each server`,
  options: [
    { name: "time", value: "TIME", default: "3s", help: "how long to wait for answers" },
    { name: "json", help: "one JSON object for each server" },
  ],
  operands: { min: 0, max: 0 },

  async run(args, environment) {
    const time = parseDuration("time", args.value("time"));
    if (time === 0) throw new FshError("USAGE", { subject: "--time off", detail: "the answers take some time" });
    const { browse } = await import("../discovery/browse.ts");
    const found = await browse({ time, signal: environment.signal });
    const lines = args.has("json") ? found.map(jsonOf) : tableOf(found);
    for (const line of lines) print(line);
    environment.signal.throwIfAborted();
    if (found.length === 0) throw new FshError("NOTHING_ANNOUNCED", { detail: HINT });
    return 0;
  },
};

function urlsOf({ scheme, addresses, port }: Found): string[] {
  return addresses.map((address) => `${scheme}://${formatAddress(address, port)}/`);
}

function jsonOf(found: Found): string {
  const { name, scheme, addresses, port, fingerprint } = found;
  return jsonText({ name, scheme, addresses, port, urls: urlsOf(found), fingerprint });
}

function tableOf(all: readonly Found[]): string[] {
  const rows = all.flatMap((one) =>
    urlsOf(one).map((url) => [printable(one.name), printable(url), one.fingerprint ?? "-"] as const)
  );
  const width = (column: 0 | 1) => Math.max(0, ...rows.map((row) => row[column].length));
  return rows.map(([name, url, fingerprint]) => `${name.padEnd(width(0))}  ${url.padEnd(width(1))}  ${fingerprint}`);
}
