// What the rest of the machine does meanwhile, which decides how far figures are to be trusted.

/** Share of all CPUs, from 0 to 1, that somebody else uses; looks for a fifth of a second in which we do nothing. */
export async function othersBusy(): Promise<number> {
  const before = cpuTimes();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const after = cpuTimes();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

/** Ticks of all CPUs together since boot (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal. */
function cpuTimes(): { busy: number; all: number } {
  const [, ...fields] = (Deno.readTextFileSync("/proc/stat").split("\n")[0] ?? "").split(/\s+/);
  const ticks = fields.slice(0, 8).map(Number);
  const all = ticks.reduce((sum, one) => sum + one, 0);
  return { busy: all - (ticks[3] ?? 0) - (ticks[4] ?? 0), all };
}
