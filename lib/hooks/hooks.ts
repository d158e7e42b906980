/** What a hook may do: `decide` hooks are waited for and can refuse, `observe` hooks are told afterwards. */
export type HookKind = "decide" | "observe";

interface HookRow {
  readonly kind: HookKind;
  /** Milliseconds that one plugin has for an answer. */
  readonly deadline: number;
  /** Facts of the event beside `hook`, `time`, `session` and `user`, in the order in which the documentation has them. */
  readonly facts: readonly FactName[];
  /** How the answers of several plugins become one. */
  readonly fold: "first opinion" | "each maps" | "any refusal" | "none";
  readonly when: string;
  readonly may: string;
}

/** Every fact that an event may have. */
const FACTS = {
  method:
    "how the client wants to come in: `anonymous`, `scram-sha-256`, `publickey`, `token`, `password`, or `explain`",
  token: "the bearer token that was offered",
  password: "the password that was offered; only with `password`, over TLS or loopback",
  key: "the public key, which the client has proved to own: `ssh-ed25519 AAAA…`",
  command: "the request, by its name in lower case: `get`, `put`, `list`, `move` …",
  path: "what the request is about: a virtual path, absolute, `/`-separated, in the served folder",
  target: "where a move goes, or where a symbolic link leads",
  size: "bytes that are announced; null: not known",
  transfer: "names one transfer among those of its server",
  chunk: "bytes as they arrive; its own copy",
  offset: "where in the file the chunk begins, in bytes",
  bytes: "bytes that were moved, or for a session, sent and received",
  seconds: "how long it took",
  digest: "`algorithm:hex` of the whole file, where there is one",
  error: "why it failed: name of the ERRORS table, code and message",
  how: "`graceful`, `abrupt` or `timeout`",
  level: "of the log record",
  message: "of the log record",
  fields: "of the log record, by name",
} as const;
export type FactName = keyof typeof FACTS;

/** What each fact means, for the documentation. */
export const FACT_DOCS: Readonly<Record<FactName, string>> = FACTS;

/**
 * Every hook. Types, runner, `fsh plugin types`, `fsh plugin check` and the reference in plugins/README.md come from this
 * table.
 */
export const HOOKS = {
  connect: {
    kind: "decide",
    deadline: 2_000,
    facts: [],
    fold: "first opinion",
    when: "a connection was accepted, before HELLO is answered",
    may: "refuse it",
  },
  authenticate: {
    kind: "decide",
    deadline: 10_000,
    facts: ["method", "token", "password", "key"],
    fold: "first opinion",
    when: "credentials were offered; `user.name` is the name that was claimed, and may be empty",
    may: "accept as a user with attributes, give a SCRAM verifier to prove them against, or refuse",
  },
  filterPath: {
    kind: "decide",
    deadline: 2_000,
    facts: ["command", "path"],
    fold: "each maps",
    when: "a request names a path, and for each name of a listing",
    may: "map it to another path, or hide it: a hidden path is not found",
  },
  authorize: {
    kind: "decide",
    deadline: 5_000,
    facts: ["command", "path", "target", "size"],
    fold: "first opinion",
    when: "before a command touches the storage, for each path that it would touch",
    may: "refuse it with a reason for the user",
  },
  content: {
    kind: "decide",
    deadline: 5_000,
    facts: ["command", "path", "size", "transfer", "chunk", "offset"],
    fold: "any refusal",
    when: "chunks of a put as they arrive, and once more with an empty chunk before the commit",
    may: "refuse, and nothing is committed",
  },
  committed: {
    kind: "observe",
    deadline: 10_000,
    facts: ["command", "path", "target", "size", "transfer", "bytes", "seconds", "digest"],
    fold: "none",
    when: "something was changed in the storage, and is as durable as it is set to be",
    may: "take note of it",
  },
  completed: {
    kind: "observe",
    deadline: 10_000,
    facts: ["command", "path", "target", "size", "transfer", "bytes", "seconds", "digest"],
    fold: "none",
    when: "a request was answered in full, whatever it was",
    may: "take note of it",
  },
  failed: {
    kind: "observe",
    deadline: 10_000,
    facts: ["command", "path", "target", "size", "transfer", "bytes", "seconds", "error", "method"],
    fold: "none",
    when: "a request failed or was refused; without a command: nobody was let in",
    may: "take note of it",
  },
  disconnect: {
    kind: "observe",
    deadline: 10_000,
    facts: ["how", "bytes", "seconds", "error"],
    fold: "none",
    when: "a session ended",
    may: "take note of it",
  },
  log: {
    kind: "observe",
    deadline: 10_000,
    facts: ["level", "message", "fields"],
    fold: "none",
    when: "the server logs something",
    may: "take note of it",
  },
} as const satisfies Record<string, HookRow>;

export type HookName = keyof typeof HOOKS;
export type DecideHook = { [N in HookName]: (typeof HOOKS)[N]["kind"] extends "decide" ? N : never }[HookName];
export type ObserveHook = Exclude<HookName, DecideHook>;

export const HOOK_NAMES = Object.keys(HOOKS) as readonly HookName[];

/** The row of the table, without what is known of it at compile time. */
export function hookRow(name: HookName): HookRow {
  return HOOKS[name];
}
