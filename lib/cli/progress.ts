import type { FshError } from "../base/errors.ts";
import type { TransferEvents } from "../client/transfer.ts";
import type { Args, OptionRow } from "./args.ts";
import { JsonView, LineView, type ProgressView, QuietView, TerminalView } from "./progress_view.ts";
import { parseChoice } from "./values.ts";

export const PROGRESS_OPTIONS: readonly OptionRow[] = [
  { name: "progress", value: "WHEN", default: "auto", help: "auto (on a terminal), always or never" },
  { name: "json", help: "events as JSON, one a line, on standard output" },
  { name: "quiet", short: "q", help: "say nothing but errors" },
];

/** How far a transfer is. */
export interface Snapshot {
  /** The file that moved last, what of it has moved, and its size; null: not known. */
  readonly path: string;
  readonly fileMoved: number;
  readonly fileSize: number | null;
  /** Bytes moved, and in all; null: not known. */
  readonly moved: number;
  readonly total: number | null;
  /** Files that are in place, that have begun, and that were left as they are. */
  readonly files: number;
  readonly begun: number;
  readonly unchanged: number;
  readonly failed: number;
  readonly seconds: number;
}

/** Follows a transfer, shows how it goes, and sums up at the end. */
export class Progress implements TransferEvents {
  readonly #view: ProgressView;
  readonly #begunAt = performance.now();
  readonly #active = new Map<string, { moved: number; readonly size: number | null }>();
  #total = 0;
  #totalKnown = true;
  #moved = 0;
  #begun = 0;
  #files = 0;
  #unchanged = 0;
  #last = "";
  #failed = 0;
  /** The first failure, and whether all the others would end with the same exit status. */
  #failure: { readonly first: FshError; alike: boolean } | null = null;
  #holds = 0;

  /** `verb` is what the summary says: "got" or "put". `dataOnOutput`: standard output is for the file itself. */
  constructor(verb: string, args: Args, options: { dataOnOutput?: boolean } = {}) {
    const when = parseChoice("progress", args.value("progress"), ["auto", "always", "never"]);
    const terminal = Deno.stderr.isTerminal();
    if (args.has("json")) this.#view = new JsonView({ onError: options.dataOnOutput ?? false });
    else if (args.has("quiet")) this.#view = new QuietView();
    else if (when === "never" || (when === "auto" && !terminal)) this.#view = new LineView(verb, { steady: false });
    else this.#view = terminal ? new TerminalView(verb) : new LineView(verb, { steady: true });
  }

  get files(): number {
    return this.#files;
  }

  get bytes(): number {
    return this.#moved;
  }

  begin(path: string, size: number | null): void {
    this.#begun++;
    this.#last = path;
    this.#active.set(path, { moved: 0, size });
    if (size === null) this.#totalKnown = false;
    else this.#total += size;
    this.#view.began(path, size);
  }

  moved(path: string, bytes: number): void {
    this.#moved += bytes;
    this.#last = path;
    const file = this.#active.get(path);
    if (file) file.moved += bytes;
    if (this.#holds === 0) this.#view.moved(() => this.#snapshot());
  }

  done(path: string): void {
    this.#files++;
    const file = this.#active.get(path);
    this.#active.delete(path);
    this.#view.done(path, file?.moved ?? 0);
  }

  planned(path: string, size: number): void {
    this.#files++;
    this.#moved += size;
    this.#view.planned(path, size);
  }

  unchanged(path: string): void {
    this.#unchanged++;
    this.#view.unchanged(path);
  }

  resumed(path: string, offset: number, agrees: boolean): void {
    if (agrees) this.#total -= offset;
    this.#view.resumed(path, offset, agrees);
  }

  /** Says that a lost connection is tried again. */
  retrying(error: FshError, wait: number, attempt: string): void {
    // What had not arrived begins again.
    for (const { size, moved } of this.#active.values()) this.#total -= (size ?? 0) - moved;
    this.#active.clear();
    this.#view.retrying(error, wait, attempt);
  }

  skipped(path: string, why: string): void {
    this.#view.skipped(path, why);
  }

  failed(path: string, error: FshError): void {
    this.#active.delete(path);
    this.#failed++;
    // Not each of them: a server that names nothing but nonsense could fill the memory with errors.
    this.#failure ??= { first: error, alike: true };
    if (error.exit !== this.#failure.first.exit) this.#failure.alike = false;
    this.#view.failed(path, error);
  }

  /** How many failed, the first of them, and whether all would end with the same exit status; null: none did. */
  get failures(): { readonly count: number; readonly first: FshError; readonly alike: boolean } | null {
    return this.#failure && { ...this.#failure, count: this.#failed };
  }

  /** The terminal is needed for something else, until the answer is called. */
  hold(): () => void {
    this.#holds++;
    this.#view.clear();
    return () => void this.#holds--;
  }

  /** Sums up. `check`: what was compared. */
  finish(check: string): void {
    this.#view.finish(this.#snapshot(), check);
  }

  #snapshot(): Snapshot {
    const file = this.#active.get(this.#last);
    return {
      path: this.#last,
      fileMoved: file?.moved ?? 0,
      fileSize: file?.size ?? null,
      moved: this.#moved,
      total: this.#totalKnown && this.#total > 0 ? this.#total : null,
      files: this.#files,
      begun: this.#begun,
      unchanged: this.#unchanged,
      failed: this.#failed,
      seconds: (performance.now() - this.#begunAt) / 1000,
    };
  }
}
