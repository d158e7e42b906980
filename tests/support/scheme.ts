// The scheme that the end-to-end tests use: FSH_TEST_SCHEME=fshq runs them over QUIC, where they do not name another one.
import type { QuicEnds } from "./quic_ends.ts";

/** Null where the tests go over TCP. */
export const quicEnds: QuicEnds | null = Deno.env.get("FSH_TEST_SCHEME") === "fshq"
  ? await (await import("./quic_ends.ts")).makeQuicEnds()
  : null;

/** Options by which a test says itself how its server is to be reached. */
const OWN = ["--tls", "--cert", "--quic", "--mutual", "--insecure"];

/** What `fsh serve` is started with besides. */
export function schemeOptions(args: readonly string[]): readonly string[] {
  return quicEnds === null || args.some((arg) => OWN.includes(arg)) ? [] : quicEnds.options;
}

/** The URL that a server is asked at, out of what it says when it is ready; undefined: it has not said it all. */
export function urlOf(said: string, quic: boolean): string | undefined {
  return (quic ? /fshq:\/\/\S+?\/(?=\n|")/ : /fshs?:\/\/\S+?\//).exec(said)?.[0];
}
