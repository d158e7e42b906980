import type { FileRegion } from "../base/file_region.ts";
import { isError } from "../base/errors.ts";
import type { Connection } from "../transport/transport.ts";
import type { SessionTrace } from "./session_trace.ts";

export interface TapOptions {
  readonly trace: SessionTrace;
  /** Whether what is in files must be seen: then all of it has to pass through this program. */
  readonly seesContent: boolean;
  /** Runs what writes the trace; where that fails tracing ends, and nothing else. */
  readonly guard: (work: () => void) => void;
  /** Waits where the trace is behind. */
  readonly room: () => Promise<void> | undefined;
}

/** A connection that behaves as the given one, all of whose bytes are seen on their way: the only place where that is. */
export function tap(connection: Connection, options: TapOptions): Connection {
  const taps = new Tap(connection, options);
  return new Proxy(connection, {
    get(target, name) {
      if (name === "writeFile") return taps.writeFile;
      if (Object.hasOwn(taps, name)) return taps[name as keyof Tap];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

class Tap implements Pick<Connection, "read" | "write" | "closeWrite" | "close" | "abort"> {
  readonly #connection: Connection;
  readonly #options: TapOptions;
  /** Bytes that were seen before the system took them: the next write begins with them. */
  #ahead = 0;

  constructor(connection: Connection, options: TapOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  readonly read = async (buffer: Uint8Array): Promise<number | null> => {
    const { trace } = this.#options;
    const read = await this.#watched(this.#connection.read(buffer));
    this.#note(() => read === null ? trace.finished("remote") : trace.received(buffer.subarray(0, read)));
    await this.#options.room();
    return read;
  };

  readonly write = async (bytes: Uint8Array): Promise<number> => {
    const { trace } = this.#options;
    // Before it goes out, or an answer could be seen before its question.
    this.#note(() => trace.sends(bytes.subarray(this.#ahead)));
    const written = await this.#watched(this.#connection.write(bytes));
    this.#ahead = bytes.length - written;
    this.#note(() => trace.handedOver(written));
    await this.#options.room();
    return written;
  };

  get writeFile(): Connection["writeFile"] {
    if (this.#options.seesContent || !this.#connection.writeFile) return undefined;
    return async (region: FileRegion, at: number) => {
      const written = await this.#watched(this.#connection.writeFile?.(region, at) ?? Promise.resolve(0));
      this.#note(() => this.#options.trace.sentUnseen(written));
      return written;
    };
  }

  readonly closeWrite = (): Promise<void> => {
    this.#note(() => this.#options.trace.finished("local"));
    return this.#connection.closeWrite();
  };

  readonly close = (): void => {
    this.#note(() => this.#options.trace.over());
    this.#connection.close();
  };

  readonly abort = (): void => {
    this.#note(() => this.#options.trace.over("local"));
    this.#connection.abort();
  };

  #note(work: () => void): void {
    this.#options.guard(work);
  }

  async #watched<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (isError(error, "CONNECTION_RESET", "PEER_TIMEOUT", "LINK_TIMEOUT")) {
        this.#note(() => this.#options.trace.over("remote"));
      }
      throw error;
    }
  }
}
