import { printable } from "../base/bytes.ts";
import type { FshError } from "../base/errors.ts";
import type { TransferEvents } from "../client/transfer.ts";
import type { Args, OptionRow } from "./args.ts";
import { complain, displayName, note, print, writeRaw } from "./output.ts";
import { formatBytes, formatClock, formatSeconds, parseChoice } from "./values.ts";

export const PROGRESS_OPTIONS: readonly OptionRow[] = [
  { name: "progress", value: "WHEN", default: "auto", help: "auto (on a terminal), always or never" },
  { name: "quiet", short: "q", help: "say nothing but errors" },
];

/** Milliseconds between two updates: on a terminal, and where each takes a line of its own. */
const REDRAW = 100;
const RELINE = 1000;

/** Shows how a transfer goes, and sums up at the end. */
export class Progress implements TransferEvents {
  readonly #show: boolean;
  readonly #quiet: boolean;
  readonly #terminal = Deno.stderr.isTerminal();
  readonly #begun = performance.now();
  readonly #verb: string;
  #total = 0;
  #totalKnown = true;
  #moved = 0;
  #files = 0;
  #unchanged = 0;
  #current = "";
  #drawn = 0;
  #width = 0;
  readonly failures: FshError[] = [];

  /** `verb` is what the summary says: "got" or "put". */
  constructor(verb: string, args: Args) {
    this.#verb = verb;
    this.#quiet = args.has("quiet");
    const when = parseChoice("progress", args.value("progress"), ["auto", "always", "never"]);
    this.#show = !this.#quiet && (when === "always" || (when === "auto" && this.#terminal));
  }

  get files(): number {
    return this.#files;
  }

  begin(path: string, size: number | null): void {
    this.#current = path;
    if (size === null) this.#totalKnown = false;
    else this.#total += size;
  }

  moved(bytes: number): void {
    this.#moved += bytes;
    if (!this.#show) return;
    const now = performance.now();
    if (now - this.#drawn < (this.#terminal ? REDRAW : RELINE)) return;
    this.#drawn = now;
    this.#draw(this.#line());
  }

  done(): void {
    this.#files++;
  }

  planned(path: string, size: number): void {
    this.#files++;
    this.#moved += size;
    print(`${formatBytes(size).padStart(10)}  ${displayName(path)}`);
  }

  unchanged(): void {
    this.#unchanged++;
  }

  resumed(path: string, offset: number, agrees: boolean): void {
    this.#clear();
    if (agrees) this.#total -= offset;
    if (this.#quiet) return;
    if (agrees) note(`fsh: ${printable(path)}: going on behind ${formatBytes(offset)} that agree`);
    else note(`fsh: ${printable(path)}: the ${formatBytes(offset)} left by an earlier transfer differ; starting over`);
  }

  /** Says that a lost connection is tried again. */
  retrying(error: FshError, wait: number, attempt: string): void {
    this.#clear();
    if (!this.#quiet) {
      note(`fsh: ${printable(error.message)}; trying again in ${formatSeconds(wait / 1000)} (${attempt})`);
    }
  }

  get bytes(): number {
    return this.#moved;
  }

  skipped(path: string, why: string): void {
    this.#clear();
    if (!this.#quiet) note(`fsh: skipped ${printable(path)}: ${why}`);
  }

  failed(_path: string, error: FshError): void {
    this.#clear();
    this.failures.push(error);
    complain(error);
  }

  /** One line that sums up; the bar goes. */
  finish(check: string): void {
    this.#clear();
    if (this.#quiet) return;
    const seconds = (performance.now() - this.#begun) / 1000;
    const files = `${this.#files} file${this.#files === 1 ? "" : "s"}`;
    const unchanged = this.#unchanged > 0 ? `, ${this.#unchanged} unchanged` : "";
    const failed = this.failures.length > 0 ? `, ${this.failures.length} failed` : "";
    note(
      `${this.#verb} ${files}${unchanged}${failed}, ${formatBytes(this.#moved)} in ${formatSeconds(seconds)} ` +
        `(${formatBytes(this.#moved / Math.max(seconds, 0.001))}/s), ${check}`,
    );
  }

  /** Removes the bar, so that something else can be printed. */
  #clear(): void {
    if (this.#width > 0) writeRaw("\r" + " ".repeat(this.#width) + "\r");
    this.#width = 0;
  }

  #line(): string {
    const seconds = (performance.now() - this.#begun) / 1000;
    const rate = this.#moved / Math.max(seconds, 0.001);
    const known = this.#totalKnown && this.#total > 0;
    const share = known ? `${Math.floor(100 * this.#moved / this.#total)}%`.padStart(4) + "  " : "";
    const size = known ? `${formatBytes(this.#moved)} of ${formatBytes(this.#total)}` : formatBytes(this.#moved);
    const left = known && rate > 0 ? `  ${formatClock((this.#total - this.#moved) / rate)} left` : "";
    return `${share}${size}  ${formatBytes(rate)}/s${left}  ${printable(this.#current)}`;
  }

  #draw(line: string): void {
    if (!this.#terminal) return note(line);
    let columns = 80;
    try {
      columns = Deno.consoleSize().columns;
    } catch {
      // Not a terminal that tells.
    }
    const shown = line.slice(0, columns - 1);
    writeRaw("\r" + shown.padEnd(this.#width));
    this.#width = shown.length;
  }
}
