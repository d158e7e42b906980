import { FshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Account, Privileges } from "../native/native.ts";
import { native } from "../native/load.ts";
import { isLoopback } from "../base/address.ts";
import type { Listener } from "../transport/transport.ts";
import type { Args, OptionRow } from "./args.ts";

export const USER_OPTION: OptionRow = {
  name: "user",
  value: "NAME[:GROUP]",
  help: "started as root: run as this user once the port is taken; numbers do, too",
};

interface Surroundings {
  readonly log: Log;
  readonly listener: Pick<Listener, "hostname" | "port">;
  /** The folder to be served. */
  readonly folder: string;
}

/**
 * Goes on as the user of `--user`, for good. To be called once the port is bound and all files that only root may read are
 * read, and before anything of the served folder or of a plugin is touched: those are the user's business.
 *
 * @throws {FshError} USAGE, USER_NOT_CHANGED, NOT_PERMITTED: the server must not start then
 */
export async function enterUser(args: Args, { log, listener, folder }: Surroundings): Promise<void> {
  const { privileges } = native();
  privileges?.noCoreDumps();
  const isRoot = Deno.build.os !== "windows" && Deno.uid() === 0;
  if (!args.has("user")) {
    if (isRoot && !isLoopback(listener.hostname)) {
      log.warn("runs as root for other machines; --user NAME goes on as somebody else once the port is taken");
    }
    return;
  }
  const wanted = args.value("user");
  const subject = `--user ${wanted}`;
  if (!privileges) {
    throw new FshError("USER_NOT_CHANGED", {
      subject,
      detail: "it takes Linux with glibc, and FSH_NATIVE other than off; start fsh as that user instead",
    });
  }
  const account = find(privileges, wanted);
  if (isRoot) {
    become(privileges, account, subject);
    log.info("runs as", { user: account.name, uid: account.uid, gid: account.gid, groups: account.groups.join(",") });
  } else if (Deno.uid() !== account.uid || Deno.gid() !== account.gid) {
    throw new FshError("USAGE", { subject, detail: "only root can go on as somebody else; start fsh as that user" });
  }
  await checkFolder(privileges, account, { folder, readOnly: args.has("read-only"), log });
  if (args.values("plugin").length > 0) checkProgram(privileges, account);
}

/** @throws {FshError} USAGE */
function find(privileges: Privileges, wanted: string): Account {
  const colon = wanted.indexOf(":");
  const user = colon === -1 ? wanted : wanted.slice(0, colon);
  const group = colon === -1 ? null : wanted.slice(colon + 1);
  const subject = `--user ${wanted}`;
  if (user === "" || group === "") throw new FshError("USAGE", { subject, detail: "it takes NAME or NAME:GROUP" });
  const account = privileges.find(user, group);
  if (account === "no group") {
    const detail = `there is no user with number ${user}, so its group has to be named: ${user}:GROUP`;
    throw new FshError("USAGE", { subject, detail });
  }
  if (typeof account === "string") {
    throw new FshError("USAGE", {
      subject,
      detail: `${account} on this machine: ${group && account === "no such group" ? group : user}`,
    });
  }
  if (account.uid === 0) throw new FshError("USAGE", { subject, detail: "that is root, and no change" });
  return account;
}

function become(privileges: Privileges, account: Account, subject: string): void {
  try {
    privileges.become(account);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    const missing = whatIsMissing(text);
    throw new FshError("USER_NOT_CHANGED", { subject, detail: missing ? `${text}; ${missing}` : text, cause });
  }
}

/** What a failure means here, as the manual pages of the calls have it; undefined: it speaks for itself. */
function whatIsMissing(failure: string): string | undefined {
  const [call, code] = failure.split(": ");
  if (code === "EPERM") {
    if (call === "setgroups" && setgroupsDenied()) return "this user namespace forbids it: see /proc/self/setgroups";
    const capability = call === "setresuid" ? "CAP_SETUID" : "CAP_SETGID";
    return `${capability} is missing: the container or service that fsh runs in has taken it away`;
  }
  if (code === "EINVAL") return "this user namespace has no such user or group: see /proc/self/uid_map and gid_map";
  if (code === "EAGAIN") return "that user has as many processes as it may (RLIMIT_NPROC)";
  return failure.includes("/proc/") ? "without /proc it can't be checked that every thread has changed" : undefined;
}

function setgroupsDenied(): boolean {
  try {
    return Deno.readTextFileSync("/proc/self/setgroups").trim() === "deny";
  } catch {
    return false;
  }
}

/** What is wrong with the folder is better said now than to every client. */
async function checkFolder(
  privileges: Privileges,
  { name }: Account,
  { folder, readOnly, log }: { folder: string; readOnly: boolean; log: Log },
): Promise<void> {
  const refused = (detail: string) => new FshError("NOT_PERMITTED", { subject: folder, detail });
  try {
    // By the whole path: a folder above may be closed to the user.
    const real = await Deno.realPath(folder);
    if (!(await Deno.stat(real)).isDirectory) return;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.PermissionDenied)) return;
    throw refused(`${name} can't get there: a folder above it lets only others pass`);
  }
  if (!privileges.may(folder, "read", "run")) throw refused(`${name} can't read it: chown it, or chmod o+rx`);
  if (!readOnly && !privileges.may(folder, "write")) {
    log.warn("the user can't write to the served folder, so puts into it fail", { user: name, folder });
  }
}

/** The process around a plugin is this program once more. */
function checkProgram(privileges: Privileges, { name }: Account): void {
  const program = Deno.execPath();
  if (privileges.may(program, "read", "run")) return;
  throw new FshError("NOT_PERMITTED", {
    subject: program,
    detail:
      `${name} can't start it, which plugins need: put it where everybody may, as in /usr/local/bin, with mode 755`,
  });
}
