import type { FactName, HookName, HOOKS } from "./hooks.ts";

/** Who is asking. */
export interface User {
  /** Empty: nobody in particular. */
  readonly name: string;
  /** The folder that is this user's `/`: a virtual path; without it the served folder itself. */
  readonly home?: string;
  /** What the user may do: `write` includes reading. Default: `write`. */
  readonly access?: "read" | "write";
  /** Until when, in milliseconds since 1970-01-01T00:00Z. */
  readonly expires?: number;
  /** Whatever else plugins want to know of the user, for each other. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

/** The conversation that an event belongs to. */
export interface EventSession {
  /** Its name, as the server's log has it; empty before the client was let in. */
  readonly id: string;
  /** Of the client: an IP address, without the port. */
  readonly address: string;
  readonly port: number;
  /** Whether nobody on the way can read along: TLS or loopback. */
  readonly secure: boolean;
  /** What the client has proved to own, where the server wants certificates (`--mutual`). */
  readonly certificate?: {
    /** The subject's common name. */
    readonly name: string;
    /** `SHA256:…` */
    readonly fingerprint: string;
  };
}

/** Values of the facts, by name. */
export interface Facts {
  readonly method: string;
  readonly token: string | undefined;
  readonly password: string | undefined;
  readonly key: string | undefined;
  readonly command: string;
  readonly path: string;
  readonly target: string | undefined;
  readonly size: number | null | undefined;
  readonly transfer: string;
  readonly chunk: Uint8Array;
  readonly offset: number;
  readonly bytes: number | undefined;
  readonly seconds: number;
  readonly digest: string | undefined;
  readonly error: { readonly name: string; readonly code: number; readonly message: string } | undefined;
  readonly how: "graceful" | "abrupt" | "timeout";
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** Facts that an event of `failed` may lack. */
type Optional = "command" | "path" | "transfer" | "method";

type FactsOf<N extends HookName> = (typeof HOOKS)[N]["facts"][number] & FactName;

/** What a hook is told. Its structure is the same for all hooks; which facts are there depends on the hook. */
export type HookEvent<N extends HookName = HookName> =
  & {
    readonly hook: N;
    /** ISO 8601, in UTC. */
    readonly time: string;
    readonly session: EventSession;
    readonly user?: User;
  }
  & (N extends "failed" | "committed" | "completed"
    ? { readonly [F in Exclude<FactsOf<N>, Optional>]: Facts[F] } & { readonly [F in FactsOf<N> & Optional]?: Facts[F] }
    : { readonly [F in FactsOf<N>]: Facts[F] });

/** An event as whoever fires it has it: hook and time are added by the runner. */
export type EventFacts<N extends HookName> = Omit<HookEvent<N>, "hook" | "time">;

/** Yes or no. Nothing at all is no opinion: the next plugin decides. */
export interface Verdict {
  readonly allow: boolean;
  /** For the user. */
  readonly reason?: string;
}

/** An answer to `authenticate`. */
export type Admission =
  | { readonly user: User }
  /** Whoever proves to know the password behind the verifier (`SCRAM-SHA-256$…`) is this user. */
  | { readonly user: User; readonly verifier: string }
  | { readonly allow: false; readonly reason?: string };

/** What a plugin may answer; undefined (or nothing) is no opinion. */
export interface Answers {
  connect: Verdict;
  authenticate: Admission;
  /** The path to use instead, or the same; null: there is no such path. */
  filterPath: string | null;
  authorize: Verdict;
  content: Verdict;
  committed: never;
  completed: never;
  failed: never;
  disconnect: never;
  log: never;
}
