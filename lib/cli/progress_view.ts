import { jsonText, printable } from "../base/bytes.ts";
import type { FshError } from "../base/errors.ts";
import { complain, displayName, note, print, writeRaw } from "./output.ts";
import type { Snapshot } from "./progress.ts";
import { formatBytes, formatClock, formatSeconds } from "./values.ts";

/** How a transfer is shown. */
export interface ProgressView {
  began(path: string, size: number | null): void;
  moved(look: () => Snapshot): void;
  done(path: string, bytes: number): void;
  planned(path: string, size: number): void;
  unchanged(path: string): void;
  resumed(path: string, offset: number, agrees: boolean): void;
  retrying(error: FshError, wait: number, attempt: string): void;
  skipped(path: string, why: string): void;
  failed(path: string, error: FshError): void;
  finish(snapshot: Snapshot, check: string): void;
  /** Takes away what would be drawn over. */
  clear(): void;
}

/** Only errors. */
export class QuietView implements ProgressView {
  began(): void {}
  moved(_look: () => Snapshot): void {}
  done(): void {}
  unchanged(): void {}
  resumed(_path: string, _offset: number, _agrees: boolean): void {}
  retrying(_error: FshError, _wait: number, _attempt: string): void {}
  skipped(_path: string, _why: string): void {}
  finish(_snapshot: Snapshot, _check: string): void {}
  clear(): void {}

  /** What a rehearsal is for. */
  planned(path: string, size: number): void {
    print(`${formatBytes(size).padStart(10)}  ${displayName(path)}`);
  }

  failed(_path: string, error: FshError): void {
    complain(error);
  }
}

/** Milliseconds between two lines: at first, and later, when a transfer takes long anyway. */
const RELINE = { first: 1_000, later: 10_000 };

/** Lines of text: for a file or a pipe. */
export class LineView extends QuietView {
  readonly #verb: string;
  readonly #steady: boolean;
  #next = performance.now() + RELINE.first;

  /** `steady`: a line now and then while it goes on. */
  constructor(verb: string, options: { steady: boolean }) {
    super();
    this.#verb = verb;
    this.#steady = options.steady;
  }

  override moved(look: () => Snapshot): void {
    if (!this.#steady || performance.now() < this.#next) return;
    const snapshot = look();
    this.#next = performance.now() + (snapshot.seconds < 10 ? RELINE.first : RELINE.later);
    this.line(progressLine(snapshot));
  }

  override resumed(path: string, offset: number, agrees: boolean): void {
    const left = formatBytes(offset);
    if (agrees) this.line(`fsh: ${printable(path)}: going on behind ${left} that agree`);
    else this.line(`fsh: ${printable(path)}: the ${left} left by an earlier transfer differ; starting over`);
  }

  override retrying(error: FshError, wait: number, attempt: string): void {
    this.line(`fsh: ${printable(error.message)}; trying again in ${formatSeconds(wait / 1000)} (${attempt})`);
  }

  override skipped(path: string, why: string): void {
    this.line(`fsh: skipped ${printable(path)}: ${why}`);
  }

  override failed(path: string, error: FshError): void {
    this.clear();
    super.failed(path, error);
  }

  override finish({ files, unchanged, failed, moved, seconds }: Snapshot, check: string): void {
    const count = `${files} file${files === 1 ? "" : "s"}`;
    const others = (unchanged > 0 ? `, ${unchanged} unchanged` : "") + (failed > 0 ? `, ${failed} failed` : "");
    const rate = formatBytes(moved / Math.max(seconds, 0.001));
    this.line(
      `${this.#verb} ${count}${others}, ${formatBytes(moved)} in ${formatSeconds(seconds)} (${rate}/s), ${check}`,
    );
  }

  protected line(text: string): void {
    this.clear();
    note(text);
  }
}

/** Milliseconds between two updates of the bar. */
const REDRAW = 100;

/** One line that changes in place. */
export class TerminalView extends LineView {
  #drawn = 0;
  #width = 0;

  constructor(verb: string) {
    super(verb, { steady: false });
  }

  override moved(look: () => Snapshot): void {
    const now = performance.now();
    if (now - this.#drawn < REDRAW) return;
    this.#drawn = now;
    let columns = 80;
    try {
      columns = Deno.consoleSize().columns;
    } catch {
      // Not a terminal that tells.
    }
    const shown = progressLine(look()).slice(0, columns - 1);
    writeRaw("\r" + shown.padEnd(this.#width));
    this.#width = shown.length;
  }

  override clear(): void {
    if (this.#width > 0) writeRaw("\r" + " ".repeat(this.#width) + "\r");
    this.#width = 0;
  }
}

/** In total: share, bytes, rate, time left, files; then the file that is moving. */
function progressLine(snapshot: Snapshot): string {
  const { path, fileMoved, fileSize, moved, total, files, begun, seconds } = snapshot;
  const rate = moved / Math.max(seconds, 0.001);
  const share = total === null ? "" : `${Math.min(100, Math.floor(100 * moved / total))}%`.padStart(4) + "  ";
  const size = total === null ? formatBytes(moved) : `${formatBytes(moved)} of ${formatBytes(total)}`;
  const left = total !== null && rate > 0 ? `  ${formatClock((total - moved) / rate)} left` : "";
  const several = begun > 1;
  const count = several ? `  ${files} of ${begun} files` : "";
  const own = several && fileSize !== null && fileSize > 0 ? ` ${Math.floor(100 * fileMoved / fileSize)}%` : "";
  return `${share}${size}  ${formatBytes(rate)}/s${left}${count}  ${printable(path)}${own}`;
}

/** Milliseconds between two events that only say how far it is. */
const JSON_INTERVAL = 1_000;

/** Events for a program, one JSON object a line. */
export class JsonView implements ProgressView {
  readonly #write: (line: string) => void;
  #next = performance.now() + JSON_INTERVAL;

  /** `onError`: on standard error, as standard output is for something else. */
  constructor(options: { onError: boolean }) {
    this.#write = options.onError ? note : print;
  }

  #say(event: string, fields: Record<string, unknown>): void {
    this.#write(jsonText({ event, ...fields }));
  }

  clear(): void {}

  began(path: string, size: number | null): void {
    this.#say("begin", { path, size });
  }

  moved(look: () => Snapshot): void {
    if (performance.now() < this.#next) return;
    this.#next = performance.now() + JSON_INTERVAL;
    const { path, fileMoved, fileSize, moved, total, files, begun, seconds } = look();
    const rate = Math.round(moved / Math.max(seconds, 0.001));
    const left = total === null || rate === 0 ? null : Math.round((total - moved) / rate);
    this.#say("progress", { path, fileBytes: fileMoved, fileSize, bytes: moved, total, files, begun, rate, left });
  }

  done(path: string, bytes: number): void {
    this.#say("done", { path, bytes });
  }

  planned(path: string, size: number): void {
    this.#say("planned", { path, size });
  }

  unchanged(path: string): void {
    this.#say("unchanged", { path });
  }

  resumed(path: string, offset: number, agrees: boolean): void {
    this.#say("resumed", { path, offset, agrees });
  }

  retrying(error: FshError, wait: number, attempt: string): void {
    this.#say("retrying", { error: error.error, message: error.message, seconds: wait / 1000, attempt });
  }

  skipped(path: string, why: string): void {
    this.#say("skipped", { path, why });
  }

  failed(path: string, error: FshError): void {
    this.#say("failed", { path, error: error.error, message: error.message, exit: error.exit });
  }

  finish({ moved, files, unchanged, failed, seconds }: Snapshot, check: string): void {
    const rate = Math.round(moved / Math.max(seconds, 0.001));
    this.#say("summary", { files, unchanged, failed, bytes: moved, seconds: Number(seconds.toFixed(3)), rate, check });
  }
}
