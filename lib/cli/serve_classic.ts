import { isLoopback } from "../base/address.ts";
import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { BoundTransport } from "../transport/bound.ts";
import { TcpTransport } from "../transport/tcp.ts";
import { formatAddress } from "../transport/transport.ts";
import type { Args, OptionRow } from "./args.ts";
import { print } from "./output.ts";
import { socketTuning } from "./socket_options.ts";
import { parseWhole } from "./values.ts";

export const CLASSIC_OPTION: OptionRow = {
  name: "classic",
  value: "[HOST:]PORT",
  help: "serve the classic protocol, too (LIST, GET, PUT, PING as they are); HOST: as --host; 0 takes any free port",
};

/**
 * Takes the port of --classic; null without it.
 *
 * @throws {FshError} USAGE where the protocol would be open to other machines, and as `listen` of the transport
 */
export async function bindClassic(args: Args, { hostname }: { readonly hostname: string }) {
  if (!args.has(CLASSIC_OPTION.name)) return null;
  const text = args.value(CLASSIC_OPTION.name);
  const cut = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(0, cut)).replace(/^\[|\]$/g, "") || hostname;
  const port = parseWhole(CLASSIC_OPTION.name, text.slice(cut + 1), { min: 0, max: 65535 });
  if (args.has("mutual")) {
    const detail = "the classic protocol has no certificates, and --mutual wants one of every client";
    throw new FshError("USAGE", { subject: "--classic", detail });
  }
  const bound = await BoundTransport.bind(new TcpTransport(socketTuning(args)), { hostname: host, port });
  // The address that is bound counts, not what its name may stand for by now.
  if (isLoopback(bound.listener.hostname) || args.has("insecure")) return bound;
  bound[Symbol.dispose]();
  throw new FshError("USAGE", {
    subject: `--classic ${text}`,
    detail: `other machines reach ${formatAddress(host, port)}, and the classic protocol has neither encryption nor ` +
      `accounts; --classic 127.0.0.1:${port} serves this machine only, --insecure does without`,
  });
}

/** Says where the classic protocol is spoken. */
export function announceClassic(args: Args, bound: BoundTransport | null, log: Log): void {
  if (!bound) return;
  const url = `classic://${formatAddress(bound.listener.hostname, bound.listener.port)}/`;
  if (args.has("json")) print(JSON.stringify({ event: "listening", protocol: "classic", url }));
  else print(`fsh: the classic protocol on ${url}`);
  if (!isLoopback(bound.listener.hostname)) {
    log.warn("--insecure: other machines may use the classic protocol, without encryption or accounts", { url });
  }
}
