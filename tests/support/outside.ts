import { assertEquals } from "@std/assert";
import { inMemory } from "./ram.ts";
import { Inotify, type Touched } from "./inotify.ts";

/** Stands in every file outside; no request and no name has it. */
export const SECRET = "SECRET-7f3a9c51e2d84b06";
/** Bytes that the folders take in memory, where they can: thousands of them on a disk would take their time. */
const ROOM = 256 * 1024 * 1024;
/** The name of a file outside that no request guesses: only a listing could give it away. */
export const HIDDEN = "hidden-c41d8e07b9";

/**
 * A folder to be served, and beside it what nobody may reach: `marker`, and `private` with `inner`, `deep/inner` and
 * HIDDEN. Sees who opens, reads or changes any of it. Linux only.
 */
export class Outside implements Disposable {
  readonly parent: string;
  /** The folder to be served. */
  readonly served: string;
  readonly #before: string;
  readonly #watch: Inotify;

  constructor() {
    this.parent = Deno.makeTempDirSync({ prefix: "fsh-outside-", ...inMemory(ROOM) });
    this.served = `${this.parent}/served`;
    Deno.mkdirSync(this.served);
    Deno.mkdirSync(`${this.parent}/private/deep`, { recursive: true });
    for (const name of ["marker", "private/inner", `private/${HIDDEN}`, "private/deep/inner"]) {
      Deno.writeTextFileSync(`${this.parent}/${name}`, SECRET);
    }
    this.#before = this.#tree();
    this.#watch = new Inotify(["", "/marker", "/private", "/private/inner", "/private/deep"].map((path) => {
      return this.parent + path;
    }));
  }

  /** Names, types, sizes, times and contents of all outside. */
  #tree(path = this.parent): string {
    const lines: string[] = [];
    for (const { name } of [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1)) {
      const full = `${path}/${name}`;
      if (full === this.served) continue;
      const { isDirectory, isFile, size, mtime, ctime, mode, nlink } = Deno.lstatSync(full);
      const own = isDirectory ? "" : [size, mtime?.getTime(), ctime?.getTime()].join();
      lines.push([full, mode, nlink, own, isFile ? Deno.readTextFileSync(full) : ""].join(" "));
      if (isDirectory) lines.push(this.#tree(full));
    }
    return lines.join("\n");
  }

  /** What was opened, read or changed outside since the start; what happens to the served folder itself aside. */
  touched(): Touched[] {
    return this.#watch.events().filter(({ path, name }) =>
      !(path === this.parent && (name === "served" || name === ""))
    );
  }

  /** Fails if anything outside was opened, read or changed; and if that would not have been seen. */
  assertUntouched(): void {
    assertEquals(this.touched(), []);
    assertEquals(this.#tree(), this.#before);
    // The look itself was one.
    assertEquals(this.touched().some(({ path, mask }) => path.endsWith("/marker") && (mask & 1) !== 0), true);
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    Deno.removeSync(this.parent, { recursive: true });
  }
}
