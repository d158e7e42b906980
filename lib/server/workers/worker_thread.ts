import { FshError } from "../../base/errors.ts";
import { type MessageEnd, MessageLink } from "../../base/message_link.ts";
import type { Generation } from "../../hooks/remote_host.ts";
import type { MainCalls, Place, WorkerCalls, WorkerStart } from "./calls.ts";
import { Desk, type Shared } from "./desk.ts";

/** A thread as the platform gives it. */
export interface Thread extends MessageEnd {
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  terminate(): void;
}

/** One worker from its start to its end. */
export class WorkerThread {
  /** Resolves with why it has ended, if it does so by itself. */
  readonly failed: Promise<string>;
  readonly #thread: Thread;
  /** To it, for whatever else it answers to. */
  readonly line: MessageLink<WorkerCalls, MainCalls>;
  #desk: Desk | null = null;

  constructor(thread: Thread) {
    this.#thread = thread;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.failed = promise;
    // Of what it says before it serves nothing needs a desk.
    const desk = () => {
      if (!this.#desk) throw new FshError("INTERNAL", { detail: "this worker does not serve yet" });
      return this.#desk.calls;
    };
    this.line = new MessageLink(thread, {
      enter: (remote) => desk().enter(remote),
      admit: (who) => desk().admit(who),
      leave: (client) => desk().leave(client),
      take: (bytes) => desk().take(bytes),
      stopPut: (id) => desk().stopPut(id),
      callHook: (call) => desk().callHook(call),
      retired: (generation) => desk().retired(generation),
      log: (record) => desk().log(record),
      pluginLog: (record) => desk().pluginLog(record),
    });
    thread.addEventListener("error", (event) => {
      // Otherwise it would end the whole program.
      event.preventDefault();
      this.end();
      resolve(event.message);
    });
  }

  /** Has it listen. @throws {FshError} as `Transport.listen`, WORKER_LOST */
  listen(place: Place): Promise<{ readonly hostname: string; readonly port: number }> {
    return this.line.ask("listen", place);
  }

  /** Has it serve. @throws {FshError} as `LocalStorage.open`, WORKER_LOST */
  async serve(
    start: WorkerStart,
    own: { readonly shared: Shared; readonly number: number; readonly stopPut: (id: string) => Promise<void> },
  ): Promise<void> {
    const { shared, number, stopPut } = own;
    // It hears of the plugins that hold now before it serves.
    const swapped = (generation: Generation) => this.line.tell("hooks", generation);
    this.#desk = new Desk(shared, { number, stopPut, swapped });
    await this.line.ask("serve", start);
  }

  /** Ends it at once. May be called again. */
  end(): void {
    this.line.close(new FshError("WORKER_LOST"));
    this.#thread.terminate();
    this.#desk?.close();
    this.#desk = null;
  }
}
