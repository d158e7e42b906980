import { FshError } from "../../lib/base/errors.ts";
import type { ErrorName } from "../../lib/base/errors.ts";
import type { Client } from "../../lib/client/client.ts";
import type { RequestName } from "../../lib/wire/frames.ts";
import { sourceOf } from "./sources.ts";
import { bytesOf } from "./stored_files.ts";

/** What nobody may have; see `isForbidden`. */
export const TREE = {
  "/open/a": "a",
  "/open/b": "b",
  "/open/tree/x": "x",
  "/open/tree/sub/secret": "s",
  "/open/empty/": "",
  "/plain/blocked": "p",
  "/secret": "s",
  "/vault/x": "v",
  "/vault/deep/y": "v",
  "/link": { target: "secret" },
  "/chain": { target: "link" },
  "/dirlink": { target: "vault" },
  "/open/dirlink": { target: "../vault" },
  "/vault/l": { target: "x" },
} as const;

/** The paths of the served folder that a rule of the tests denies or hides. */
export function isForbidden(path: string): boolean {
  return /^\/vault(\/|$)|^\/b\/blocked$|(^|\/)secret$/.test(path);
}

/** A way for a request to name something forbidden. */
export interface Way {
  readonly by: string;
  /** Fails with, or answers, why it was refused; null: it was not. */
  readonly run: (client: Client) => Promise<unknown>;
  /** The error where the path is hidden. Default: NOT_FOUND. */
  readonly hidden?: ErrorName | null;
  /** The error where it is denied. Default: NOT_PERMITTED; null: the rest is answered. */
  readonly denied?: ErrorName | null;
  /** What it changes all the same, of what is allowed. */
  readonly changes?: readonly string[];
}

const open = () => () => {};
const get = (client: Client, path: string) => client.get(path, { open });
const put = (client: Client, path: string, parents = false) =>
  client.put(path, sourceOf(bytesOf("new")), { size: 3, parents });

async function gets(client: Client, ...paths: string[]): Promise<FshError | null> {
  const errors: FshError[] = [];
  await client.getSmall(paths, {
    algorithm: "crc32",
    limit: 1000,
    take: (got) => Promise.resolve(void got.forEach(({ error }) => error && errors.push(error))),
  });
  return errors[0] ?? null;
}

async function puts(client: Client, paths: readonly string[], parents = false): Promise<FshError | null> {
  const files = paths.map((path) => ({ path, content: bytesOf("new"), modified: null, mode: null }));
  const errors = await client.putSmall(files, { algorithm: "crc32", parents });
  return errors.find((error) => error !== null) ?? null;
}

async function list(client: Client, path: string, recursive = false): Promise<void> {
  for await (const _page of client.list(path, { recursive })) { /* What is in it has tests of its own. */ }
}

/** Every way to name a path, for every request: one without a row does not compile. */
export const WAYS: Readonly<Record<RequestName, readonly Way[]>> = {
  LIST: [
    { by: "its path", run: (client) => list(client, "/vault") },
    { by: "a folder below", run: (client) => list(client, "/vault/deep", true) },
    { by: "a link", run: (client) => list(client, "/dirlink") },
    { by: "a tree walk", run: (client) => list(client, "/", true), denied: null, hidden: null },
  ],
  STAT: [
    { by: "its path", run: (client) => client.stat("/secret") },
    { by: "a link", run: (client) => client.stat("/link") },
    { by: "a link to a link", run: (client) => client.stat("/chain") },
    { by: "a link on the way", run: (client) => client.stat("/open/dirlink/x") },
  ],
  GET: [
    { by: "its path", run: (client) => get(client, "/secret") },
    { by: "its path and a slash", run: (client) => get(client, "/secret/") },
    { by: "a link", run: (client) => get(client, "/link") },
    { by: "a link on the way", run: (client) => get(client, "/dirlink/x") },
  ],
  HASH: [
    { by: "its path", run: (client) => client.hash("/secret") },
    { by: "a link", run: (client) => client.hash("/link") },
    { by: "a link on the way", run: (client) => client.hash("/dirlink/x") },
  ],
  READLINK: [
    { by: "its path", run: (client) => client.readLink("/vault/l") },
    { by: "a link on the way", run: (client) => client.readLink("/dirlink/l") },
  ],
  GETS: [
    { by: "its path", run: (client) => gets(client, "/secret") },
    { by: "one of several", run: (client) => gets(client, "/open/a", "/vault/x", "/open/b") },
    { by: "a link", run: (client) => gets(client, "/open/a", "/link") },
    { by: "a link on the way", run: (client) => gets(client, "/dirlink/x", "/open/b") },
  ],
  PUT: [
    { by: "its path", run: (client) => put(client, "/secret") },
    { by: "a link on the way", run: (client) => put(client, "/dirlink/new") },
    { by: "folders to make", run: (client) => put(client, "/vault/new/deep/x", true) },
    { by: "one folder to make", run: (client) => put(client, "/open/secret/x", true) },
    { by: "folders behind a link", run: (client) => put(client, "/dirlink/new/x", true) },
  ],
  PUTS: [
    { by: "its path", run: (client) => puts(client, ["/secret"]) },
    { by: "one of several", run: (client) => puts(client, ["/open/c", "/vault/x"]), changes: ["/open/c"] },
    { by: "a link on the way", run: (client) => puts(client, ["/dirlink/new", "/open/c"]), changes: ["/open/c"] },
    { by: "a folder to make", run: (client) => puts(client, ["/vault/new/x"], true) },
    { by: "one folder to make", run: (client) => puts(client, ["/open/secret/x"], true) },
  ],
  MKDIR: [
    { by: "its path", run: (client) => client.mkdir("/vault/new") },
    { by: "folders above", run: (client) => client.mkdir("/open/secret/x/y", { parents: true }) },
    { by: "a link on the way", run: (client) => client.mkdir("/dirlink/new/x", { parents: true }) },
  ],
  REMOVE: [
    { by: "its path", run: (client) => client.remove("/secret") },
    { by: "a link on the way", run: (client) => client.remove("/dirlink/x") },
    { by: "a tree", run: (client) => client.remove("/open", { recursive: true }), hidden: "NOT_EMPTY" },
    { by: "a tree behind a link", run: (client) => client.remove("/dirlink/deep", { recursive: true }) },
  ],
  MOVE: [
    { by: "its path", run: (client) => client.move("/secret", "/open/s") },
    { by: "its target", run: (client) => client.move("/open/a", "/vault/a") },
    { by: "what it replaces", run: (client) => client.move("/open/a", "/secret") },
    { by: "the source's tree", run: (client) => client.move("/open", "/moved"), hidden: "NOT_PERMITTED" },
    { by: "the target's tree", run: (client) => client.move("/plain", "/b"), hidden: "NOT_PERMITTED" },
    { by: "a link on the source's way", run: (client) => client.move("/dirlink/x", "/open/x") },
    { by: "a link on the target's way", run: (client) => client.move("/open/a", "/dirlink/a") },
  ],
  SYMLINK: [
    { by: "its path", run: (client) => client.symlink("/vault/new", "x") },
    { by: "its target", run: (client) => client.symlink("/l", "secret"), hidden: "NOT_PERMITTED" },
    { by: "a link as its target", run: (client) => client.symlink("/l", "link"), hidden: "NOT_PERMITTED" },
    { by: "a link on the way", run: (client) => client.symlink("/dirlink/new", "../open/a") },
    { by: "a link on its target's way", run: (client) => client.symlink("/l", "dirlink/x"), hidden: "NOT_PERMITTED" },
  ],
  TOUCH: [
    { by: "its path", run: (client) => client.touch("/secret", { modified: 0 }) },
    { by: "a link", run: (client) => client.touch("/link", { modified: 0, mode: 0o777 }) },
    { by: "a link on the way", run: (client) => client.touch("/dirlink/x", { modified: 0 }) },
  ],
};

/** Why a way came to nothing; null: it did not. */
export async function refusalOf(way: Way, client: Client): Promise<FshError | null> {
  try {
    const answer = await way.run(client);
    return answer instanceof FshError ? answer : null;
  } catch (error) {
    if (error instanceof FshError) return error;
    throw error;
  }
}
