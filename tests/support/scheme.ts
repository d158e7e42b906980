// The scheme that the end-to-end tests use: FSH_TEST_SCHEME=fshq runs them over QUIC, where they do not name another one.
import type { QuicEnds } from "./quic_ends.ts";

/** Null where the tests go over TCP. */
export const quicEnds: QuicEnds | null = Deno.env.get("FSH_TEST_SCHEME") === "fshq"
  ? await (await import("./quic_ends.ts")).makeQuicEnds()
  : null;

/** The scheme of URLs. */
export const SCHEME = quicEnds?.transport.scheme ?? "fsh";

/** Options by which a test says itself how its server is to be reached. */
const OWN = ["--tls", "--cert", "--quic", "--mutual", "--insecure"];

/** Why a test is about TCP, and has nothing to say of QUIC. */
const OF_TCP = {
  options: "socket options are TCP's; that they do nothing over QUIC has a test of its own",
  clear: "it is about a server in the clear, and QUIC is always encrypted",
  workers: "--workers goes together with TCP only, which has a test, as QUIC has one socket for all connections",
} as const;

/** A test of what only TCP has: over QUIC it is ignored, and its name says why. */
export function testOfTcp(why: keyof typeof OF_TCP, test: Deno.TestDefinition): void {
  if (quicEnds === null) Deno.test(test);
  else Deno.test({ ...test, name: `${test.name} (not over QUIC: ${OF_TCP[why]})`, ignore: true });
}

/** What `fsh serve` is started with besides. */
export function schemeOptions(args: readonly string[]): readonly string[] {
  return quicEnds === null || args.some((arg) => OWN.includes(arg)) ? [] : quicEnds.options;
}

/** The URL that a server is asked at, out of what it says when it is ready; undefined: it has not said it all. */
export function urlOf(said: string, quic: boolean): string | undefined {
  return (quic ? /fshq:\/\/\S+?\/(?=\n|")/ : /fshs?:\/\/\S+?\//).exec(said)?.[0];
}
