/**
 * `auth-users`: users with passwords and public keys, from a file that `fsh passwd` writes.
 *
 * Answers `scram-sha-256` with the user's verifier, checks `password` against it, and knows the user by the key for
 * `publickey`. A user that is not in the file is left to the next plugin; one that has expired is refused.
 *
 * @module
 */
import {
  accountUser,
  type Admission,
  checkPassword,
  fakeVerifier,
  formatVerifier,
  type HookEvent,
  parseUsersFile,
  type Plugin,
  publicKey,
  type Users,
} from "../lib/plugin.ts";
import { started, textOption } from "./option_values.ts";
import { WatchedFile } from "./watched_file.ts";

/** Passwords checked at once; each takes a core for some tenths of a second. */
const CHECKS_AT_ONCE = 2;

type Entry = Users extends ReadonlyMap<string, infer E> ? E : never;

class UsersDirectory {
  readonly #file: WatchedFile<Users>;
  readonly #turns: Promise<unknown>[] = Array.from({ length: CHECKS_AT_ONCE }, () => Promise.resolve());
  #turn = 0;

  constructor(file: WatchedFile<Users>) {
    this.#file = file;
  }

  async authenticate(event: HookEvent<"authenticate">, signal: AbortSignal): Promise<Admission | undefined> {
    const users = await this.#file.current();
    const name = event.user?.name ?? "";
    const entry = users.get(name);
    if (event.method === "explain") return entry && admit([name, entry], { reason: true });
    if (event.method === "publickey") return byKey(users, { name, key: event.key });
    if (event.method === "scram-sha-256") {
      if (entry?.verifier === undefined) return undefined;
      // Nothing is proved yet, so nothing is told.
      return admit([name, entry], { reason: false, verifier: entry.verifier });
    }
    if (event.method !== "password" || event.password === undefined) return undefined;
    // An unknown name takes as long as a wrong password.
    const verifier = entry?.verifier ?? formatVerifier(fakeVerifier(name));
    const right = await this.#check(verifier, { password: event.password, signal });
    if (entry === undefined) return undefined;
    return right ? admit([name, entry], { reason: true }) : { allow: false };
  }

  async #check(verifier: string, offered: { password: string; signal: AbortSignal }): Promise<boolean> {
    const { password, signal } = offered;
    const place = this.#turn++ % CHECKS_AT_ONCE;
    const check = (this.#turns[place] ?? Promise.resolve()).then(() =>
      // Who waited too long has been answered already.
      signal.aborted ? false : checkPassword(verifier, password)
    );
    this.#turns[place] = check.catch(() => {});
    return await check;
  }
}

/** The claimed user if the key is one of theirs; without a claim, whoever has it. */
function byKey(users: Users, offered: { name: string; key: string | undefined }): Admission | undefined {
  const { name } = offered;
  const key = publicKey(offered.key ?? "");
  if (key === null) return undefined;
  const has = (entry: Entry | undefined) => entry?.keys?.includes(key) ?? false;
  const own = users.get(name);
  if (name !== "") return own && has(own) ? admit([name, own], { reason: true }) : undefined;
  const found = [...users].find(([, entry]) => has(entry));
  return found && admit(found, { reason: true });
}

function admit([name, entry]: readonly [string, Entry], options: { reason: boolean; verifier?: string }): Admission {
  const user = accountUser(name, entry);
  if (user.expires !== undefined && user.expires <= Date.now()) {
    return options.reason ? { allow: false, reason: `this account expired on ${entry.expires}` } : { allow: false };
  }
  return options.verifier === undefined ? { user } : { user, verifier: options.verifier };
}

export function createAuthUsers(): Plugin {
  let directory: UsersDirectory | undefined;
  return {
    name: "auth-users",
    description: "users with passwords and public keys, from a file that `fsh passwd` writes",
    options: {
      file: { type: "string", help: "the users file; read again whenever it changes" },
    },
    methods: ["scram-sha-256", "password", "publickey", "explain"],
    async start({ options, log }) {
      const path = textOption(options, "file") ?? "";
      const file = await WatchedFile.open(path, { parse: parseUsersFile, log, make: `fsh passwd ${path} USER` });
      directory = new UsersDirectory(file);
    },
    hooks: {
      authenticate: (event, { signal }) => started(directory).authenticate(event, signal),
    },
  };
}
