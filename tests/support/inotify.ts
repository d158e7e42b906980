/** What inotify(7) tells of one object. */
export interface Touched {
  /** The watched path. */
  readonly path: string;
  /** The name in it that the event is about; empty: the path itself. */
  readonly name: string;
  /** Bits of IN_ALL_EVENTS: 1 accessed, 2 modified, 4 attributes, 0x20 opened, 0x100 created, 0x200 deleted, … */
  readonly mask: number;
}

const IN_ALL_EVENTS = 0xfff; // sys/inotify.h
const IN_NONBLOCK = 0o4000;
const SYMBOLS = {
  inotify_init1: { parameters: ["i32"], result: "i32" },
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Sees whoever opens, reads or changes some paths; the runtime's own watcher does not tell of reading. Linux only. */
export class Inotify implements Disposable {
  readonly #library = Deno.dlopen("libc.so.6", SYMBOLS);
  readonly #descriptor = this.#library.symbols.inotify_init1(IN_NONBLOCK);
  readonly #paths = new Map<number, string>();

  constructor(paths: readonly string[]) {
    for (const path of paths) {
      const bytes = new TextEncoder().encode(path + "\0");
      const watch = this.#library.symbols.inotify_add_watch(this.#descriptor, bytes, IN_ALL_EVENTS);
      if (watch < 0) throw new Error(`inotify_add_watch ${path}`);
      this.#paths.set(watch, path);
    }
  }

  /** What has happened since it was last asked. */
  events(): Touched[] {
    const found: Touched[] = [];
    const buffer = new Uint8Array(256 * 1024);
    const view = new DataView(buffer.buffer);
    for (;;) {
      const bytes = Number(this.#library.symbols.read(this.#descriptor, buffer, BigInt(buffer.length)));
      if (bytes <= 0) return found;
      // struct inotify_event: i32 watch, u32 mask, u32 cookie, u32 length, name and NULs.
      for (let at = 0; at < bytes; at += 16 + view.getUint32(at + 12, true)) {
        const length = view.getUint32(at + 12, true);
        const name = new TextDecoder().decode(buffer.subarray(at + 16, at + 16 + length)).replace(/\0.*$/s, "");
        const path = this.#paths.get(view.getInt32(at, true)) ?? "?";
        found.push({ path, name, mask: view.getUint32(at + 4, true) });
      }
    }
  }

  [Symbol.dispose](): void {
    this.#library.symbols.close(this.#descriptor);
    this.#library.close();
  }
}
