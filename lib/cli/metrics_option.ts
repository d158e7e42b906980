import type { Log } from "../base/log.ts";
import type { MetricsSource } from "../server/metrics_page.ts";
import { listenError } from "../transport/socket_error.ts";
import { formatAddress } from "../transport/transport.ts";
import type { Args, OptionRow } from "./args.ts";
import { parseWhole } from "./values.ts";

export const METRICS_OPTION: OptionRow = {
  name: "metrics",
  value: "[HOST:]PORT",
  help: "serve counters at http://HOST:PORT/metrics, in the text format of Prometheus; HOST: 127.0.0.1",
};

/**
 * Serves the metrics where --metrics says so. Nothing of it is loaded otherwise.
 *
 * @throws {FshError} USAGE, ADDRESS_IN_USE, ADDRESS_UNAVAILABLE, PORT_DENIED, UNKNOWN_HOST
 */
export async function serveMetrics(args: Args, metrics: MetricsSource, log: Log): Promise<AsyncDisposable> {
  if (!args.has(METRICS_OPTION.name)) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  const { hostname, port } = parsePlace(args.value(METRICS_OPTION.name));
  const { metricsPage } = await import("../server/metrics_page.ts");
  const page = metricsPage(metrics);
  const end = new AbortController();
  try {
    const server = Deno.serve({
      hostname,
      port,
      signal: end.signal,
      onListen: ({ hostname, port }) => {
        log.info("metrics", { url: `http://${formatAddress(hostname, port)}/metrics` });
      },
      onError: () => new Response("failed\n", { status: 500 }),
    }, page);
    return { [Symbol.asyncDispose]: () => (end.abort(), server.finished) };
  } catch (cause) {
    throw listenError(cause, { hostname, port, option: "--metrics" });
  }
}

function parsePlace(text: string): { hostname: string; port: number } {
  const cut = text.lastIndexOf(":");
  const hostname = text.slice(0, Math.max(0, cut)).replace(/^\[|\]$/g, "") || "127.0.0.1";
  return { hostname, port: parseWhole(METRICS_OPTION.name, text.slice(cut + 1), { min: 0, max: 65535 }) };
}
