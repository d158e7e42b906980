import type { Source } from "../../lib/commands/source.ts";
import { joined } from "./raw_frame.ts";

/** Gives bytes in reads of at most `chunk`. */
export function sourceOf(bytes: Uint8Array, chunk = Infinity): Source {
  let at = 0;
  return {
    read(buffer) {
      if (at === bytes.length) return Promise.resolve(null);
      const some = bytes.subarray(at, at + Math.min(chunk, buffer.length));
      buffer.set(some);
      at += some.length;
      return Promise.resolve(some.length);
    },
  };
}

/** A source that gives `first` and then nothing more until `go` is called. */
export function pausedSource(first: Uint8Array, then: Uint8Array = new Uint8Array()): Source & { go: () => void } {
  const gate = Promise.withResolvers<void>();
  const parts = [sourceOf(first), sourceOf(then)] as const;
  return {
    go: gate.resolve,
    async read(buffer) {
      const read = await parts[0].read(buffer);
      if (read !== null) return read;
      await gate.promise;
      return await parts[1].read(buffer);
    },
  };
}

/** Collects what a sink is given. */
export class Collector {
  readonly #parts: Uint8Array[] = [];
  readonly sink = (chunk: Uint8Array): void => {
    this.#parts.push(chunk.slice());
  };

  get bytes(): Uint8Array<ArrayBuffer> {
    return joined(...this.#parts);
  }
}
