import { FshError, type PluginLog, readText, replaceFile } from "../../lib/plugin.ts";
import { type Usage, UsageTree } from "./usage_tree.ts";

/** Shortest time between two writings, in milliseconds. */
const WRITE_EVERY = 1_000;
/** Writing takes at most this part of the time, however large the file is. */
const WRITE_SHARE = 1 / 20;

export interface QuotaState {
  readonly tree: UsageTree;
  /** What users had before the plugin counted; only the operator writes it. */
  readonly before: ReadonlyMap<string, Usage>;
}

/** @throws {FshError} USAGE: it is no state file; a quota that forgets is none, so nothing is begun anew */
export async function readState(path: string): Promise<QuotaState> {
  const text = await readText(path);
  if (text === null) return { tree: new UsageTree(), before: new Map() };
  const wrong = (detail: string) =>
    new FshError("USAGE", { subject: path, detail: `no state of the plugin quota: ${detail}` });
  let state: unknown;
  try {
    state = JSON.parse(text);
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
  if (!isRecord(state) || state.version !== 1 || !isRecord(state.files)) {
    throw wrong('it lacks "version": 1 or "files"');
  }
  const before = new Map<string, Usage>();
  for (const [user, usage] of Object.entries(isRecord(state.before) ? state.before : {})) {
    const { bytes = 0, files = 0 } = isRecord(usage) ? usage : {};
    if (!isCount(bytes) || !isCount(files)) throw wrong(`"before" of ${JSON.stringify(user)} has a wrong number`);
    before.set(user, { bytes, files });
  }
  const tree = new UsageTree();
  for (const [path, file] of Object.entries(state.files)) {
    const [user, size]: unknown[] = Array.isArray(file) ? file : [];
    if (typeof user !== "string" || !isCount(size)) throw wrong(`${JSON.stringify(path)} must be [user, bytes]`);
    tree.put(path, { user, size });
  }
  return { tree, before };
}

/** Writes the state some time after it changed, and at the end. */
export class StateWriter {
  readonly #path: string;
  readonly #state: QuotaState;
  readonly #log: PluginLog;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> = Promise.resolve();
  #pause = WRITE_EVERY;
  #dirty = false;
  #stopped = false;

  constructor(path: string, options: { state: QuotaState; log: PluginLog }) {
    this.#path = path;
    this.#state = options.state;
    this.#log = options.log;
  }

  /** Writes at once; what is there already stays as it is. @throws {FshError} if that is not possible: at the start that is a mistake of the operator's */
  async open(): Promise<void> {
    await replaceFile(this.#path, (old) => old ?? format(this.#state));
  }

  changed(): void {
    this.#dirty = true;
    if (this.#stopped) return;
    this.#timer ??= setTimeout(() => this.#writing = this.#write(), this.#pause);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#writing;
    if (this.#dirty) await this.#write();
  }

  async #write(): Promise<void> {
    const begun = performance.now();
    this.#dirty = false;
    try {
      await replaceFile(this.#path, () => format(this.#state));
    } catch (error) {
      this.#dirty = true;
      const message = error instanceof Error ? error.message : String(error);
      this.#log.error("quota not saved; tried again later", { file: this.#path, error: message });
    }
    this.#pause = Math.max(WRITE_EVERY, (performance.now() - begun) / WRITE_SHARE);
    this.#timer = undefined;
    if (this.#dirty) this.changed();
  }
}

function format({ tree, before }: QuotaState): string {
  const files = Array.from(tree.entries(), ([path, { user, size }]) => [path, [user, size]] as const);
  return JSON.stringify({ version: 1, before: Object.fromEntries(before), files: Object.fromEntries(files) }) + "\n";
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
