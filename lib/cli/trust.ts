import { printable } from "../base/bytes.ts";
import { type Certificate, checkFingerprint } from "../base/certificate.ts";
import { FshError } from "../base/errors.ts";
import type { ClientOptions } from "../client/client.ts";
import { type ServerName, TrustingConnector } from "../client/tls_trust.ts";
import type { FshUrl, Scheme } from "../client/url.ts";
import { TcpTransport } from "../transport/tcp.ts";
import { formatAddress } from "../transport/transport.ts";
import type { Args, Environment, OptionRow } from "./args.ts";
import { KnownHosts } from "./known_hosts.ts";
import { note } from "./output.ts";
import { askOnTerminal, canPrompt } from "./password_prompt.ts";
import { durationOf } from "./session_options.ts";
import { socketTuning } from "./socket_options.ts";

/** Whom to take for the server of an fshs:// or fshq:// URL. */
export const TRUST_OPTIONS: readonly OptionRow[] = [
  {
    name: "fingerprint",
    value: "SHA256:…",
    help: "fshs, fshq: only the certificate with this fingerprint; nobody is asked",
  },
  { name: "accept-new", help: "fshs, fshq: trust and remember a server that was never seen before, without asking" },
];

/** What a command has decided about servers: its other connections, and those after a loss, are not decided again. */
const connectors = new WeakMap<Args, Map<Scheme, TrustingConnector>>();

/** How to connect to where a URL leads. @throws {FshError} USAGE */
export function transportOf(
  { scheme }: FshUrl,
  args: Args,
  { signal }: Environment,
): NonNullable<ClientOptions["transport"]> {
  if (scheme === "classic") {
    throw new FshError("NOT_IN_CLASSIC", { subject: "classic://", detail: "it knows ls, get, put and ping" });
  }
  const tuning = socketTuning(args);
  if (scheme === "fsh") {
    if (args.has("fingerprint")) {
      throw new FshError("USAGE", { subject: "--fingerprint", detail: "only fshs:// and fshq:// have certificates" });
    }
    return new TcpTransport(tuning);
  }
  const fingerprint = args.has("fingerprint") ? args.value("fingerprint") : undefined;
  const ofArgs = connectors.get(args) ?? new Map<Scheme, TrustingConnector>();
  const connector = ofArgs.get(scheme) ?? new TrustingConnector({
    by: scheme,
    known: new KnownHosts(),
    fingerprint: fingerprint === undefined ? undefined : checkFingerprint("--fingerprint", fingerprint),
    handshakeTimeout: durationOf(args, "handshake-timeout"),
    tuning,
    meet: (server, certificate) =>
      args.has("accept-new") ? accept(server, certificate) : ask(server, certificate, signal),
  });
  connectors.set(args, ofArgs.set(scheme, connector));
  return connector;
}

function accept(server: ServerName, { fingerprint }: Certificate): Promise<boolean> {
  note(`fsh: ${nameOf(server)} is new here; from now on only ${fingerprint} will do for it`);
  return Promise.resolve(true);
}

async function ask(server: ServerName, { fingerprint }: Certificate, signal: AbortSignal): Promise<boolean> {
  if (!canPrompt()) {
    throw new FshError("CERTIFICATE_UNKNOWN", {
      subject: nameOf(server),
      detail:
        `its fingerprint is ${fingerprint}, which nobody here has seen before, and there is no terminal to ask; ` +
        `if the server printed the same: --fingerprint ${fingerprint}, or --accept-new to remember it unseen`,
    });
  }
  note(`${nameOf(server)} was never seen before, and no authority vouches for it. Its fingerprint is
  ${fingerprint}
The server printed the same when it started, if nobody is in between.`);
  for (;;) {
    const answer = (await askOnTerminal("Trust it from now on? (yes/no) ", signal)).trim().toLowerCase();
    if (answer === "yes") return true;
    if (answer === "no" || answer === "n" || answer === "") return false;
    note("yes or no, in full");
  }
}

function nameOf({ hostname, port }: ServerName): string {
  return printable(formatAddress(hostname, port));
}
