import { printable } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { Client, type ClientOptions, DEFAULT_TIMEOUTS } from "../client/client.ts";
import { type FshUrl, parseUrlOrPath } from "../client/url.ts";
import type { Credentials } from "../session/handshake.ts";
import type { Args, Environment, OptionRow } from "./args.ts";
import { Login, LOGIN_OPTIONS } from "./login.ts";
import { makeLog, note } from "./output.ts";
import { traced } from "./trace_options.ts";
import { transportOf, TRUST_OPTIONS } from "./trust.ts";
import { durationOf, durationOption, SESSION_OPTIONS, sessionLimits } from "./session_options.ts";

/** Options of every subcommand that talks to a server. */
export const CONNECTION_OPTIONS: readonly OptionRow[] = [
  durationOption("connect-timeout", DEFAULT_TIMEOUTS.connect, "for the connection, all addresses of the host together"),
  ...LOGIN_OPTIONS,
  ...TRUST_OPTIONS,
  ...SESSION_OPTIONS,
];

export function remoteUrl(text: string): FshUrl {
  return parseUrlOrPath(text, Deno.env.get("FSH_URL"));
}

export async function connect(url: FshUrl, args: Args, environment: Environment): Promise<Client> {
  const login = await Login.of(url, args);
  const warn = (message: string) => note(`fsh: ${printable(message)}`);
  const transport = await traced(transportOf(url, args, environment), args, { warn });
  const own = { transport, signal: environment.signal };
  const open = (credentials: Credentials) => openSession(url, args, { ...own, credentials });
  return await login.connect(open, { url, environment });
}

function openSession(
  url: FshUrl,
  args: Args,
  own: Required<Pick<ClientOptions, "transport" | "credentials" | "signal">>,
): Promise<Client> {
  return Client.connect(url, {
    ...own,
    log: makeLog({ json: false, fallback: "error" }),
    limits: sessionLimits(args),
    timeouts: {
      connect: durationOf(args, "connect-timeout"),
      handshake: durationOf(args, "handshake-timeout"),
      stall: durationOf(args, "stall-timeout"),
    },
    zeroCopy: !args.has("no-zero-copy"),
  });
}

/** Connects, works, says goodbye. Ctrl-C tells the server, ends what runs, and waits until it has cleaned up. */
export async function withClient<T>(
  url: FshUrl,
  args: Args,
  environment: Environment,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  return await withClients(url, args, environment, { count: 1, work: ([client]) => work(client) });
}

/** As `withClient`, with several sessions at once. */
export async function withClients<T>(
  url: FshUrl,
  args: Args,
  environment: Environment,
  job: { count: number; work: (clients: readonly [Client, ...Client[]]) => Promise<T> },
): Promise<T> {
  const clients: [Client, ...Client[]] = [await connect(url, args, environment)];
  const interrupt = () =>
    clients.forEach((client) => void client.session.close({ limit: 1, error: new FshError("INTERRUPTED") }));
  environment.signal.addEventListener("abort", interrupt);
  try {
    while (clients.length < job.count) clients.push(await connect(url, args, environment));
    if (environment.signal.aborted) interrupt();
    return await job.work(clients);
  } catch (error) {
    throw environment.signal.aborted ? new FshError("INTERRUPTED") : error;
  } finally {
    environment.signal.removeEventListener("abort", interrupt);
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** What two URLs have in common if they are on the same server. */
export function serverKey(url: FshUrl): string {
  return JSON.stringify([url.scheme, url.hostname, url.port, url.user]);
}

/** All operands of one command must be on one server. */
export function sameServer(first: FshUrl, second: FshUrl): void {
  if (serverKey(first) !== serverKey(second)) {
    throw new FshError("USAGE", { subject: second.hostname, detail: "all URLs must be on the same server" });
  }
}
