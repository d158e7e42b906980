import { FshError } from "../base/errors.ts";
import { makeVerifier } from "../base/scram.ts";
import { checkName } from "../hooks/account.ts";
import { readText, replaceFile, requireText } from "../hooks/replace_file.ts";
import { formatUsersFile, parseUsersFile, publicKey, type UserEntry, type Users } from "../hooks/users_file.ts";
import { ACCOUNT_OPTIONS, type AccountChange, accountOf } from "./account_options.ts";
import type { Args, Subcommand } from "./args.ts";
import { readInputLine } from "./input_line.ts";
import { note } from "./output.ts";
import { canPrompt, promptPassword } from "./password_prompt.ts";

export const passwdCommand: Subcommand = {
  name: "passwd",
  usage: [
    "[--home PATH] [--access read|write] [--expires WHEN] FILE USER",
    "--key KEY.pub FILE USER",
    "--delete FILE USER",
  ],
  summary: "add a user to a users file, or change one",
  details: `For the plugin auth-users. FILE is made where there is none; a running server reads it again by itself. The
password is asked for twice, or is the first line of standard input where that is no terminal. It is kept as a SCRAM
verifier, out of which nobody gets it back.

With --key or --no-password none is asked for, and one that was set before stays.

  fsh passwd users.json backup --home /backup --access write
  fsh passwd users.json backup --key ~/.config/fsh/id_ed25519.pub
  fsh serve DIR --plugin auth-users --plugin-option auth-users.file=users.json`,
  options: [
    ...ACCOUNT_OPTIONS,
    { name: "key", value: "FILE", help: "add the public keys of this file: lines of ssh-ed25519 AAAA…" },
    { name: "no-password", help: "leave the password as it is" },
    { name: "delete", help: "remove the user" },
  ],
  operands: { min: 2, max: 2 },

  async run(args, environment) {
    const [file = "", user = ""] = args.operands;
    const job = { file, user, args, signal: environment.signal };
    const outcome = args.has("delete") ? await remove(job) : await change(job);
    note(`fsh: ${file}: ${user} ${outcome}`);
    return 0;
  },
};

interface Job {
  readonly file: string;
  readonly user: string;
  readonly args: Args;
  readonly signal: AbortSignal;
}

async function remove({ file, user, args, signal }: Job): Promise<string> {
  const other = passwdCommand.options.find(({ name }) => name !== "delete" && args.has(name));
  if (other) throw new FshError("USAGE", { subject: `--${other.name}`, detail: "it makes no sense with --delete" });
  await replaceFile(file, (old) => {
    const users = new Map(present(old, file));
    if (!users.delete(user)) throw new FshError("NOT_FOUND", { subject: `user ${user} in ${file}` });
    return formatUsersFile(users);
  }, { signal });
  return "removed";
}

async function change({ file, user, args, signal }: Job): Promise<string> {
  checkName(user, file);
  const given = accountOf(args);
  const keys = args.has("key") ? await readKeys(args.value("key")) : [];
  // Whatever is wrong with the file is said before anybody types a password.
  await check(file);
  const verifier = args.has("key") || args.has("no-password")
    ? undefined
    : await makeVerifier(await newPassword(user, signal));
  let existed = false;
  await replaceFile(file, (old) => {
    const users = new Map(present(old, file));
    const before = users.get(user);
    existed = before !== undefined;
    users.set(user, merge(before ?? {}, { ...given, verifier, keys }));
    return formatUsersFile(users);
  }, { signal });
  return existed ? "changed" : "added";
}

function merge(
  before: UserEntry,
  given: AccountChange & { readonly verifier: string | undefined; readonly keys: readonly string[] },
): UserEntry {
  const verifier = given.verifier ?? before.verifier;
  const home = given.home === undefined ? before.home : given.home;
  const access = given.access ?? before.access;
  const expires = given.expires === undefined ? before.expires : given.expires;
  const keys = [...new Set([...before.keys ?? [], ...given.keys])];
  return {
    ...(verifier === undefined ? {} : { verifier }),
    ...(home === undefined || home === null ? {} : { home }),
    ...(access === undefined ? {} : { access }),
    ...(expires === undefined || expires === null ? {} : { expires }),
    ...(keys.length === 0 ? {} : { keys }),
  };
}

function present(old: string | null, file: string): Users {
  return old === null ? new Map() : parseUsersFile(old, file);
}

async function check(file: string): Promise<void> {
  present(await readText(file), file);
}

async function newPassword(user: string, signal: AbortSignal): Promise<string> {
  if (!canPrompt()) {
    const password = await readInputLine();
    if (password === "") throw new FshError("USAGE", { subject: "password", detail: "an empty one is no password" });
    return password;
  }
  const password = await promptPassword(`New password for ${user}: `, signal);
  if (await promptPassword("Once more: ", signal) === password) return password;
  throw new FshError("USAGE", { subject: "password", detail: "the two differ; nothing was changed" });
}

async function readKeys(file: string): Promise<string[]> {
  const text = await requireText(file);
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const keys = lines.map((line) => {
    const key = publicKey(line);
    if (key !== null) return key;
    throw new FshError("USAGE", { subject: file, detail: "it is no public key file: lines read ssh-ed25519 AAAA…" });
  });
  if (keys.length === 0) throw new FshError("USAGE", { subject: file, detail: "there is no public key in it" });
  return keys;
}
