import { assert, assertEquals, assertLessOrEqual, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { forEachBounded } from "../../lib/base/concurrency.ts";
import { HostileServer, type Script, THEN } from "./hostile_server.ts";
import { measure } from "./memory.ts";
import type { RawPeer } from "./raw_peer.ts";

/** What one client may take. Its memory without anything to do is about half of that. */
const MOST_MIB = 400;
const MOST_MS = 30_000;
/** Clients at once. */
const AT_ONCE = 3;

/** A folder that holds the destination, `dest`, and beside it what nobody may touch. */
export interface Place {
  readonly top: string;
  readonly dest: string;
}

export interface Case {
  readonly name: string;
  readonly script: Script | ((place: Place) => Script);
  /** By default a get of a tree into the destination. */
  readonly args?: (url: string, place: Place) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What is there before. */
  readonly before?: (place: Place) => Promise<void>;
  readonly exit: number;
  /** What standard error must match. */
  readonly error?: RegExp;
  /** What the destination has at the end: every name in it. Part files count. */
  readonly leaves?: readonly string[];
  readonly after?: (place: Place, ran: { out: string; err: string; server: HostileServer }) => Promise<void> | void;
}

const encoder = new TextEncoder();
export const text = (content: string): Uint8Array<ArrayBuffer> => encoder.encode(content);
export const SMALL = text("from the server\n");
/** Too large to come with others. */
export const LARGE = new Uint8Array(100_000).fill(120);
/** Every combination, not only one of a kind. */
export const LONG = Deno.env.get("FSH_LONG") === "1";

type Args = NonNullable<Case["args"]>;

/** A transfer of a tree into the destination. */
export const once = (...args: string[]): Args => (url, { dest }) => [...args, "--retries", "0", `${url}tree`, dest];

/** A get of one file into the destination. */
export const single =
  (...options: string[]): Args => (url, { dest }) => ["get", "--retries", "0", ...options, `${url}file`, dest];

const OWN = "my own\n";
export const IN_THE_WAY = /exists already \(--force replaces it\)/;

/** A file of the user's in the destination. */
export const existing = (path: string, content = OWN) => async ({ dest }: Place): Promise<void> => {
  await Deno.mkdir(`${dest}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
  await Deno.writeTextFile(`${dest}/${path}`, content);
};

/** Checks that a file of the destination has that content, by default what `existing` wrote. */
export const stays = (path: string, content = OWN) => ({ dest }: Place): void =>
  assertEquals(Deno.readTextFileSync(`${dest}/${path}`), content);

/** What an honest server says of LARGE. */
export const INFO = { type: "file", size: LARGE.length, modified: THEN, mode: 0o644, offset: 0 } as const;

/** A GET whose answer is made by hand. */
export function getting(
  name: string,
  answer: (peer: RawPeer, stream: number) => Promise<void>,
  rest: Omit<Partial<Case>, "name" | "script"> & Pick<Case, "exit" | "error">,
): Case {
  return {
    name,
    script: { answers: { GET: (peer, { stream }) => answer(peer, stream) } },
    args: single(),
    leaves: [],
    ...rest,
  };
}

/** Runs each case with the compiled client in a folder of its own, and checks what no server may bring about. */
export async function runCases(cases: readonly Case[]): Promise<void> {
  const failures: string[] = [];
  await forEachBounded(cases, { count: AT_ONCE, weight: Infinity, weigh: () => 1 }, async (one) => {
    try {
      await runCase(one);
    } catch (error) {
      failures.push(`${one.name}: ${error instanceof Error ? error.message : error}`);
    }
  });
  assertEquals(failures, []);
}

async function runCase(one: Case): Promise<void> {
  const top = await Deno.makeTempDir({ prefix: "fsh-hostile-" });
  const place = { top, dest: `${top}/dest` };
  try {
    for (const folder of ["dest", "outside/deep", "home"]) await Deno.mkdir(`${top}/${folder}`, { recursive: true });
    for (const name of ["marker", "outside/marker", "home/.profile"]) {
      await Deno.writeTextFile(`${top}/${name}`, `not yours: ${name}\n`);
    }
    await one.before?.(place);
    const script = typeof one.script === "function" ? one.script(place) : one.script;
    await using server = await HostileServer.start(script);
    const before = await snapshot(top);
    const args = one.args?.(server.url, place) ?? ["get", "-r", "--retries", "0", `${server.url}tree`, place.dest];
    const begun = performance.now();
    const ran = await measure(args, {
      env: { HOME: `${top}/home`, ...one.env },
      cwd: place.dest,
      output: true,
      seconds: 60,
    });
    assertLessOrEqual(performance.now() - begun, MOST_MS, "it took too long");
    assertEquals(ran.code, one.exit, `exit status; ${clip(ran.err)}`);
    if (one.error) assertMatch(ran.err, one.error);
    assertLessOrEqual(ran.peak, MOST_MIB, "it took too much memory");
    assertEquals(await snapshot(top), before, "something outside the destination has changed");
    assertShown(ran.err);
    if (one.leaves) assertEquals(below(place.dest), [...one.leaves].sort(), `what is left; ${clip(ran.err)}`);
    await one.after?.(place, { ...ran, server });
  } finally {
    await Deno.remove(top, { recursive: true });
  }
}

/** Fails where text would make a terminal do something: anything but printable characters and line feeds. */
export function assertShown(text: string): void {
  // deno-lint-ignore no-control-regex
  const found = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/.exec(text);
  assert(found === null, `a terminal would execute ${JSON.stringify(found?.[0])} of ${clip(JSON.stringify(text))}`);
}

function clip(text: string): string {
  return text.length > 1200 ? `${text.slice(0, 1200)}…` : text;
}

/** Everything but the destination: names, kinds, sizes, times, permissions, content. */
async function snapshot(top: string): Promise<string[]> {
  const found: string[] = [];
  const look = async (path: string, shown: string) => {
    const info = await Deno.lstat(path);
    const what = [shown, info.mode, info.size, info.isDirectory ? "" : info.mtime?.getTime(), info.uid];
    if (info.isFile) what.push(createHash("sha256").update(await Deno.readFile(path)).digest("hex"));
    if (info.isSymlink) what.push(await Deno.readLink(path));
    found.push(what.join(" "));
    if (!info.isDirectory) return;
    for await (const { name } of Deno.readDir(path)) {
      if (`${path}/${name}` !== `${top}/dest`) await look(`${path}/${name}`, `${shown}/${name}`);
    }
  };
  await look(top, "");
  return found.sort();
}

/** Every name below a folder; links are not followed. */
export function below(folder: string, prefix = ""): string[] {
  const names: string[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    names.push(prefix + name + (isDirectory ? "/" : ""));
    if (isDirectory) names.push(...below(`${folder}/${name}`, `${prefix}${name}/`));
  }
  return names.sort();
}
