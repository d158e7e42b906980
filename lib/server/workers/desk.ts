import { FshError } from "../../base/errors.ts";
import type { Log, LogRecord } from "../../base/log.ts";
import type { Rate } from "../../base/rate_limiter.ts";
import { HookSharing } from "../../hooks/hook_sharing.ts";
import type { Generation } from "../../hooks/remote_host.ts";
import type { HookRunner } from "../../hooks/runner.ts";
import type { Entrance, Guest } from "../entrance.ts";
import type { MainCalls } from "./calls.ts";

/** What all workers share: there is one of each, in the main thread. */
export interface Shared {
  readonly entrance: Entrance;
  readonly rate: Rate | undefined;
  readonly hooks: HookRunner;
  readonly log: Log;
  /** Hears of plugins that fail. */
  readonly pluginLog: Log;
}

/** Where one worker asks for what all of them share. What it was given goes back when it ends, whatever the end is. */
export class Desk {
  readonly calls: MainCalls;
  readonly #clients = new Map<number, Guest>();
  readonly #hooks: HookSharing;
  #next = 1;

  constructor(
    shared: Shared,
    worker: {
      readonly number: number;
      /** Hears which plugins hold, now and whenever others do. */
      readonly swapped: (generation: Generation) => void;
      /** Stops a put of another worker. */
      readonly stopPut: (id: string) => Promise<void>;
    },
  ) {
    const { entrance, rate, log, pluginLog } = shared;
    const told = (record: LogRecord) => ({ ...record, fields: { ...record.fields, worker: worker.number } });
    this.#hooks = new HookSharing(shared.hooks, worker.swapped);
    this.calls = {
      enter: (remote) => this.#enter(entrance.enter(remote)),
      admit: ({ client, user }) => this.#client(client).admit(user),
      leave: (client) => this.#leave(client),
      take: (bytes) => rate?.take(bytes),
      stopPut: worker.stopPut,
      callHook: (call) => this.#hooks.call(call),
      retired: (generation) => this.#hooks.retired(generation),
      log: (record) => log.pass(told(record)),
      pluginLog: (record) => pluginLog.pass(told(record)),
    };
  }

  /** The worker has ended. */
  close(): void {
    for (const client of [...this.#clients.keys()]) this.#leave(client);
    this.#hooks.stop();
  }

  #enter(guest: Guest | FshError): number {
    if (guest instanceof FshError) throw guest;
    const client = this.#next++;
    this.#clients.set(client, guest);
    return client;
  }

  #client(client: number): Guest {
    const guest = this.#clients.get(client);
    if (!guest) throw new FshError("CONNECTION_LOST");
    return guest;
  }

  #leave(client: number): void {
    this.#clients.get(client)?.leave();
    this.#clients.delete(client);
  }
}
