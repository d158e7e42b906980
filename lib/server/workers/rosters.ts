import { FshError } from "../../base/errors.ts";
import type { LoadFact, SessionControl, SessionFact } from "../control.ts";
import type { WorkerThread } from "./worker_thread.ts";

/** The sessions of all workers, as those of one server: their names are told apart by whoever admits them. */
export class Rosters implements SessionControl {
  readonly #threads: () => readonly WorkerThread[];

  constructor(threads: () => readonly WorkerThread[]) {
    this.#threads = threads;
  }

  /** Of a worker that fails meanwhile no session is left. */
  async sessions(): Promise<readonly SessionFact[]> {
    const all = await Promise.all(this.#threads().map(({ line }) => line.ask("sessions", null).catch(() => [])));
    return all.flat().sort((a, b) => Number(a.id) - Number(b.id));
  }

  async kick(id: string, reason: string): Promise<SessionFact> {
    const asked = this.#threads().map(({ line }) => line.ask("kick", { id, reason }).catch(() => null));
    const found = (await Promise.all(asked)).find((fact) => fact !== null);
    if (found) return found;
    throw new FshError("NOT_FOUND", { subject: `session ${id}`, detail: "fsh sessions lists those here" });
  }

  async load(): Promise<LoadFact> {
    const none = { sessions: 0, requests: 0 };
    const all = await Promise.all(this.#threads().map(({ line }) => line.ask("load", null).catch(() => none)));
    const sum = (of: (fact: LoadFact) => number) => all.reduce((sum, fact) => sum + of(fact), 0);
    return { sessions: sum(({ sessions }) => sessions), requests: sum(({ requests }) => requests) };
  }
}
