import { FshError } from "../base/errors.ts";
import { ClassicClient } from "../client/classic_client.ts";
import type { Remote } from "../client/client.ts";
import { formatUrl, type FshUrl } from "../client/url.ts";
import { TcpTransport } from "../transport/tcp.ts";
import type { Args, Environment } from "./args.ts";
import { withClient } from "./connection.ts";
import { durationOf } from "./session_options.ts";
import { socketTuning } from "./socket_options.ts";

/** Options that would promise what the classic protocol can't keep. */
const NOT_THERE: Readonly<Record<string, string>> = {
  "recursive": "it has no folders",
  "parents": "it has no folders",
  "resume": "a transfer begins anew",
  "update": "it tells no times",
  "preserve": "it tells no permissions",
  "checksum": "it has no digests",
  "jobs": "it is spoken over one connection",
  "password-file": "it has no accounts",
  "token-file": "it has no accounts",
  "identity": "it has no accounts",
  "fingerprint": "it has no encryption",
  "trace": "it has no frames",
  "pcap": "it has no frames",
  "accept-new": "it has no encryption",
};

/** Commands that talked to a classic server. */
const classic = new WeakSet<Args>();

/** Whether the command has talked to a classic server: then nothing can be resumed, and no digest was compared. */
export function spokeClassic(args: Args): boolean {
  return classic.has(args);
}

/** @throws {FshError} NOT_IN_CLASSIC, and as `ClassicClient.connect` */
export async function connectClassic(url: FshUrl, args: Args, { signal }: Environment): Promise<ClassicClient> {
  for (const [option, detail] of Object.entries(NOT_THERE)) {
    if (args.has(option)) throw new FshError("NOT_IN_CLASSIC", { subject: `--${option}`, detail });
  }
  if (url.user !== "") throw new FshError("NOT_IN_CLASSIC", { subject: formatUrl(url), detail: "it has no accounts" });
  classic.add(args);
  const timeouts = { connect: durationOf(args, "connect-timeout"), stall: durationOf(args, "stall-timeout") };
  const transport = new TcpTransport(socketTuning(args));
  return await ClassicClient.connect(url, { transport, timeouts, signal, zeroCopy: !args.has("no-zero-copy") });
}

/** As `withClient`, for what either protocol can do. */
export async function withRemote<T>(
  url: FshUrl,
  args: Args,
  environment: Environment,
  work: (client: Remote) => Promise<T>,
): Promise<T> {
  if (url.scheme !== "classic") return await withClient(url, args, environment, work);
  const client = await connectClassic(url, args, environment);
  try {
    return await work(client);
  } catch (error) {
    throw environment.signal.aborted ? new FshError("INTERRUPTED") : error;
  } finally {
    client.close();
  }
}
