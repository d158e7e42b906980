/**
 * `quota`: how many bytes and files each user may have, held while a put runs.
 *
 * A put that announces more than is left is refused at once; one that announces nothing, or too little, at the chunk
 * that no longer fits. Transfers that run at the same time take their room beforehand, so that together they don't get
 * more than one by one. A file counts for whoever put it there last, until it is removed or replaced.
 *
 * What it can't know: files that were there before it counted, or that came and went past this server. They count
 * nothing; what users had before may be written into the state file by hand (`before`). After a crash the last second
 * of changes may be missing.
 *
 * @module
 */
import { FshError, type HookEvent, type Plugin, type Verdict } from "../../lib/plugin.ts";
import { sizeOption, started, textOption } from "../option_values.ts";
import { type Demand, Reservations } from "./reservations.ts";
import { type QuotaState, readState, StateWriter } from "./state_file.ts";
import type { Usage } from "./usage_tree.ts";

const PUTS: ReadonlySet<string> = new Set(["put", "puts"]);

class Quota {
  readonly #limit: Usage;
  readonly #state: QuotaState;
  readonly #reservations: Reservations;
  readonly #changed: () => void;

  constructor(limit: Usage, surroundings: { state: QuotaState; changed: () => void; now: () => number }) {
    this.#limit = limit;
    this.#state = surroundings.state;
    this.#changed = surroundings.changed;
    this.#reservations = new Reservations(surroundings.now);
  }

  authorize(event: HookEvent<"authorize">): Verdict | undefined {
    if (!PUTS.has(event.command)) return undefined;
    return this.#judge({ ...this.#demand(event, event.size ?? 0), seen: 0 });
  }

  content(event: HookEvent<"content">): Verdict | undefined {
    const { transfer, size, offset, chunk } = event;
    const seen = Math.max(this.#reservations.get(transfer)?.seen ?? 0, offset + chunk.length);
    const demand = { ...this.#demand(event, Math.max(seen, size ?? 0)), seen };
    const refusal = this.#judge(demand, transfer);
    if (refusal) this.#reservations.release(transfer);
    else this.#reservations.set(transfer, demand);
    return refusal;
  }

  committed(event: HookEvent<"committed">): void {
    const { command, path, target, transfer, size, bytes } = event;
    const demand = transfer === undefined ? undefined : this.#reservations.release(transfer);
    if (command === undefined || path === undefined) return;
    const { tree } = this.#state;
    if (PUTS.has(command)) {
      tree.put(path, { user: nameOf(event), size: demand?.seen || (size ?? bytes ?? 0) });
    } else if (command === "remove") tree.remove(path);
    else if (command === "move" && target !== undefined) tree.move(path, target);
    else return;
    this.#changed();
  }

  ended({ transfer }: { transfer?: string }): void {
    if (transfer !== undefined) this.#reservations.release(transfer);
  }

  sessionEnded(session: string): void {
    this.#reservations.releaseSession(session);
  }

  /** What the transfer adds: what it replaces is the user's own already, if it is. */
  #demand(event: HookEvent<"authorize"> | HookEvent<"content">, size: number): Omit<Demand, "seen"> {
    const user = nameOf(event);
    const old = this.#state.tree.get(event.path);
    const own = old?.user === user ? old : undefined;
    return {
      user,
      session: event.session.id,
      path: event.path,
      bytes: Math.max(0, size - (own?.size ?? 0)),
      files: own ? 0 : 1,
    };
  }

  #judge(demand: Demand, transfer?: string): Verdict | undefined {
    const refusal = this.#refusal(demand, transfer);
    if (refusal && this.#reservations.releaseStale()) return this.#refusal(demand, transfer);
    return refusal;
  }

  #refusal(demand: Demand, transfer?: string): Verdict | undefined {
    const before = this.#state.before.get(demand.user) ?? { bytes: 0, files: 0 };
    const own = this.#state.tree.usageOf(demand.user);
    const reserved = this.#reservations.of(demand.user, transfer);
    const bytes = before.bytes + own.bytes + reserved.bytes;
    const files = before.files + own.files + reserved.files;
    if (demand.bytes > 0 && bytes + demand.bytes > this.#limit.bytes) {
      const left = formatBytes(Math.max(0, this.#limit.bytes - bytes));
      return refuse(`${left} of ${formatBytes(this.#limit.bytes)} are left, ${formatBytes(demand.bytes)} are needed`);
    }
    if (demand.files > 0 && files + demand.files > this.#limit.files) {
      return refuse(`all of the ${this.#limit.files} files are used`);
    }
    return undefined;
  }
}

/** `now`: milliseconds that never go backwards. */
export function createQuota(now: () => number = () => performance.now()): Plugin {
  let quota: Quota | undefined;
  let writer: StateWriter | undefined;
  return {
    name: "quota",
    description: "how many bytes and files each user may have, held while a put runs",
    options: {
      file: { type: "string", help: "where it is kept what users have; made if there is none" },
      bytes: { type: "string", optional: true, help: "bytes per user, such as 10G; default: any number" },
      files: { type: "number", optional: true, help: "files per user; default: any number" },
    },
    async start({ options, log }) {
      const path = textOption(options, "file") ?? "";
      const limit = { bytes: sizeOption(options, "bytes") ?? Infinity, files: filesOption(options.files) };
      const state = await readState(path);
      const saving = new StateWriter(path, { state, log });
      await saving.open();
      writer = saving;
      quota = new Quota(limit, { state, changed: () => saving.changed(), now });
    },
    async stop() {
      await writer?.stop();
    },
    hooks: {
      authorize: (event) => started(quota).authorize(event),
      content: (event) => started(quota).content(event),
      committed: (event) => started(quota).committed(event),
      completed: (event) => started(quota).ended(event),
      failed: (event) => started(quota).ended(event),
      disconnect: ({ session }) => started(quota).sessionEnded(session.id),
    },
  };
}

function filesOption(value: unknown): number {
  if (value === undefined) return Infinity;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new FshError("USAGE", { subject: `option files=${value}`, detail: "it takes a whole number from 0 on" });
}

function nameOf(event: { user?: { name: string } }): string {
  return event.user?.name ?? "";
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function formatBytes(bytes: number): string {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${Number.isInteger(bytes) ? bytes : bytes.toFixed(1)} ${UNITS[unit]}`;
}

function refuse(reason: string): Verdict {
  return { allow: false, reason: `quota: ${reason}` };
}
