/** What the scheduler says, in milliseconds since the program began (proc(5): /proc/PID/schedstat). */
export interface ThreadTime {
  /** Of the thread that everything of fsh runs on, the system's own work for it included. */
  readonly run: number;
  /** Of all threads, some of which wait for the disk: the time in which they ran, or could have but others had the CPU. */
  readonly wanted: number;
}

/** What all CPUs did, in ticks since the system began (proc(5): /proc/stat). */
export interface MachineTime {
  readonly all: number;
  readonly idle: number;
  /** That the host of a virtual machine gave to others. */
  readonly stolen: number;
}

/** Null where the system does not tell. */
export function threadTime(): ThreadTime | null {
  const [run] = scheduled("self");
  return run === undefined ? null : { run: run / 1e6, wanted: wantedByAll() };
}

/** Milliseconds for which this thread has waited for a CPU so far; 0 where the system does not tell. */
export function queuedTime(): number {
  return (scheduled("self")[1] ?? 0) / 1e6;
}

function wantedByAll(): number {
  let sum = 0;
  try {
    for (const { name } of Deno.readDirSync("/proc/self/task")) {
      const [run = 0, queued = 0] = scheduled(`self/task/${name}`);
      sum += run + queued;
    }
  } catch {
    // Then nothing is known of the others.
  }
  return sum / 1e6;
}

/** Nanoseconds on a CPU, and in a CPU's queue. */
function scheduled(whose: string): number[] {
  return numbers(`/proc/${whose}/schedstat`, /^(\d+) (\d+)/);
}

/** Null where the system does not tell. */
export function machineTime(): MachineTime | null {
  // user nice system idle iowait irq softirq steal
  const ticks = numbers("/proc/stat", /^cpu +(\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)/);
  const [, , , idle = 0, waiting = 0, , , stolen = 0] = ticks;
  if (ticks.length === 0) return null;
  return { all: ticks.reduce((sum, one) => sum + one, 0), idle: idle + waiting, stolen };
}

function numbers(path: string, pattern: RegExp): number[] {
  try {
    return pattern.exec(Deno.readTextFileSync(path))?.slice(1).map(Number) ?? [];
  } catch {
    return [];
  }
}

/**
 * The part of a CPU that this thread gets while it wants all of it, 0 to 1: tried by being busy for `ms` milliseconds.
 * Null where the system does not tell.
 */
export function shareOfCpu(ms: number): number | null {
  const [before] = scheduled("self");
  const begun = performance.now();
  let now = begun;
  while (now - begun < ms) now = performance.now();
  const [after] = scheduled("self");
  if (before === undefined || after === undefined) return null;
  return Math.min(1, Math.max(0.01, (after - before) / 1e6 / (now - begun)));
}
