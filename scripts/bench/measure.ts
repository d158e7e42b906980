// Rounds, medians, ratios, and how they are shown.
import { othersBusy } from "./load.ts";
import { Interrupted } from "./processes.ts";

/** One of ours that runs against a contender: the ratio is of our figure to its figure. */
export interface Rival {
  readonly ours: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** One way to do the work of a comparison. */
export interface Contender {
  readonly name: string;
  /** The file or folder that it makes; removed before each round. */
  readonly makes?: string;
  readonly rivals?: readonly Rival[];
  /** Not measured: what has to be there before the clock starts. */
  prepare?(): Promise<void>;
  /** Measured by the clock, or answers seconds that it measured itself. */
  run(): Promise<number | void>;
  /** Fails unless the result is right. Called once, after the first round. */
  check(): Promise<void>;
}

export interface Unit {
  readonly name: string;
  /** The figure for a time in seconds. */
  figure(seconds: number): number;
}

export interface Comparison {
  readonly name: string;
  readonly title: string;
  readonly unit: Unit;
  /** Bytes that one run writes to the disk. */
  readonly writes: number;
  readonly contenders: readonly Contender[];
  /** A statement about the medians, in seconds by contender, that is no ratio of two of them. */
  conclude?(medians: ReadonlyMap<string, number>): Verdict | null;
}

export interface Verdict {
  readonly text: string;
  readonly met: boolean;
}

export interface Row {
  readonly contender: string;
  readonly seconds: readonly number[];
  readonly median: number;
  readonly figure: number;
  readonly ratios: readonly Ratio[];
}

export interface Ratio {
  readonly ours: string;
  readonly value: number;
  readonly target?: string;
  readonly met?: boolean;
}

export interface Result {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly rows: readonly Row[];
  readonly verdict?: Verdict;
  /** Contenders that failed, and why; they have no figure. */
  readonly failures: readonly string[];
  /** Share of the CPUs that other programs used, as seen before each run. */
  readonly othersBusy: number;
}

/** Empties the disk's queue and warms the page cache; removes what the last round made. */
export type Reset = (makes: string | undefined) => Promise<void>;

/** Runs all contenders in turn, round by round; each round begins with another one. */
export async function measure(comparison: Comparison, rounds: number, reset: Reset): Promise<Result> {
  const seconds = new Map<string, number[]>(comparison.contenders.map(({ name }) => [name, []]));
  const failures: string[] = [];
  const busy: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const all = comparison.contenders;
    for (const contender of [...all.slice(round % all.length), ...all.slice(0, round % all.length)]) {
      const { name, makes } = contender;
      const times = seconds.get(name);
      if (!times) continue;
      try {
        await reset(makes);
        await contender.prepare?.();
        busy.push(await othersBusy());
        const begun = performance.now();
        const own = await contender.run();
        times.push(own ?? (performance.now() - begun) / 1000);
        if (round === 0) await contender.check();
      } catch (error) {
        if (error instanceof Interrupted) throw error;
        // A wrong result is no result, however fast it was.
        seconds.delete(name);
        failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  for (const { makes } of comparison.contenders) {
    if (makes) await Deno.remove(makes, { recursive: true }).catch(() => {});
  }
  const mean = busy.reduce((sum, one) => sum + one, 0) / Math.max(1, busy.length);
  return { ...summarize(comparison, seconds), failures, othersBusy: mean };
}

function summarize(comparison: Comparison, seconds: ReadonlyMap<string, number[]>) {
  const { name, title, unit } = comparison;
  const medians = new Map([...seconds].map(([contender, times]) => [contender, median(times)]));
  const rows: Row[] = [];
  for (const { name: contender, rivals = [] } of comparison.contenders) {
    const time = medians.get(contender);
    if (time === undefined) continue;
    const figure = unit.figure(time);
    const ratios = rivals.flatMap((rival) => {
      const ours = medians.get(rival.ours);
      return ours === undefined ? [] : [judge(rival, unit.figure(ours) / figure)];
    });
    rows.push({ contender, seconds: seconds.get(contender) ?? [], median: time, figure, ratios });
  }
  const verdict = comparison.conclude?.(medians);
  return { name, title, unit: unit.name, rows, ...(verdict ? { verdict } : {}) };
}

function judge({ ours, atLeast, atMost }: Rival, value: number): Ratio {
  if (atLeast !== undefined) return { ours, value, target: `≥ ${atLeast}`, met: value >= atLeast };
  if (atMost !== undefined) return { ours, value, target: `≤ ${atMost}`, met: value <= atMost };
  return { ours, value };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

/** The result as a table in Markdown, aligned for a terminal. */
export function table(result: Result): string {
  const lines = [[result.title, "median s", result.unit, "ratio", "of", "target", "result"]];
  for (const { contender, median, figure, ratios } of result.rows) {
    let cells = [contender, median.toFixed(2), figure.toFixed(figure < 10 ? 2 : 0)];
    if (ratios.length === 0) lines.push([...cells, "", "", "", ""]);
    for (const { ours, value, target = "", met } of ratios) {
      lines.push([
        ...cells,
        value.toFixed(2),
        `${ours} : this`,
        target,
        met === undefined ? "" : met ? "met" : "missed",
      ]);
      cells = ["", "", ""];
    }
  }
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const isNumber = (column: number) => column >= 1 && column <= 3;
  const text = lines.map((line) => {
    const cells = line.map((cell, column) =>
      isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)
    );
    return `| ${cells.join(" | ")} |`;
  });
  const rule = widths.map((width, column) => "-".repeat(width + 1) + (isNumber(column) ? ":" : "-"));
  text.splice(1, 0, `|${rule.join("|")}|`);
  if (result.verdict) text.push("", `${result.verdict.text}: ${result.verdict.met ? "met" : "missed"}`);
  if (result.othersBusy > 0.05) {
    const percent = Math.round(100 * result.othersBusy);
    text.push("", `other programs used ${percent} % of the CPUs meanwhile: do not rely on these figures`);
  }
  for (const failure of result.failures) text.push("", `failed: ${failure}`);
  return text.join("\n");
}
