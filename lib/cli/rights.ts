import { ALL_RIGHTS, type Right } from "../base/rights.ts";
import { native } from "../native/load.ts";

/**
 * Talks to a server. Addresses come from arguments and secrets from files, so neither can be named beforehand; who is met
 * for the first time is remembered in a file, which keeps its owner (sys: who this is).
 */
const REMOTE: readonly Right[] = ["net", "env", "read", "write", "sys"];
/** Changes files of the operator's, and keeps their owner. */
const FILES: readonly Right[] = ["read", "write", "env", "sys"];

/** Runs plugins: those that ship in this process, others in processes of this program, whose sandboxes get any of these. */
const PLUGINS: readonly Right[] = ["read", "write", "net", "env", "sys", "run"];

/** Talks to a server of this user's over a Unix socket, which it looks for in folders that nobody else may enter. */
const CONTROL: readonly Right[] = ["net", "env", "read", "write", "sys"];

interface Row {
  readonly keeps: readonly Right[];
  /** Opens files by descriptors that the kernel confines: the runtime does that only while it has every permission. */
  readonly confined?: true;
}

/** What each subcommand keeps of the permissions that fsh starts with; the rest is given up before it runs. */
export const RIGHTS: Readonly<Record<string, Row>> = {
  // Calls of the C library for --user and core dumps are looked up late, which takes ffi.
  serve: { keeps: [...PLUGINS, "ffi"], confined: true },
  explain: { keeps: PLUGINS, confined: true },
  plugin: { keeps: PLUGINS },
  get: { keeps: REMOTE, confined: true },
  put: { keeps: REMOTE, confined: true },
  verify: { keeps: REMOTE, confined: true },
  ls: { keeps: REMOTE },
  stat: { keeps: REMOTE },
  hash: { keeps: REMOTE },
  mkdir: { keeps: REMOTE },
  rm: { keeps: REMOTE },
  mv: { keeps: REMOTE },
  ping: { keeps: REMOTE },
  // Asks which networks there are (sys).
  discover: { keeps: ["net", "env", "sys"] },
  // What /proc tells of this process and of the kernel may be read only with every permission there is.
  doctor: { keeps: REMOTE, confined: true },
  passwd: { keeps: FILES },
  token: { keeps: FILES },
  forget: { keeps: FILES },
  sessions: { keeps: CONTROL },
  sockets: { keeps: CONTROL },
  kick: { keeps: CONTROL },
  reload: { keeps: CONTROL },
  drain: { keeps: CONTROL },
  keygen: { keeps: ["read", "write", "env"] },
  trace: { keeps: ["read", "env"] },
  dissector: { keeps: ["env"] },
  help: { keeps: ["env"] },
  version: { keeps: ["env"] },
};

/** What a subcommand keeps on this system. One without a row keeps nothing. */
export function rightsOf(subcommand: string): readonly Right[] {
  const row = Object.hasOwn(RIGHTS, subcommand) ? RIGHTS[subcommand] : undefined;
  if (row === undefined) return [];
  return row.confined && native().descriptors !== null ? ALL_RIGHTS : row.keeps;
}
