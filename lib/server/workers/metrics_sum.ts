import type { Metric } from "../metrics.ts";

/** The numbers of several servers as those of one: what has the same name and labels is added. */
export function sumMetrics(servers: Iterable<readonly Metric[]>): Metric[] {
  const sums = new Map<string, { metric: Metric; values: Map<string, Metric["values"][number]> }>();
  for (const metric of [...servers].flat()) {
    let sum = sums.get(metric.name);
    if (!sum) sums.set(metric.name, sum = { metric, values: new Map() });
    for (const { labels, value } of metric.values) {
      const key = JSON.stringify(Object.entries(labels).sort());
      sum.values.set(key, { labels, value: (sum.values.get(key)?.value ?? 0) + value });
    }
  }
  return [...sums.values()].map(({ metric, values }) => ({ ...metric, values: [...values.values()] }));
}

/** What goes on counting after a server has gone: counters, which may never go down. */
export function countersOf(metrics: readonly Metric[]): readonly Metric[] {
  return metrics.filter(({ type }) => type === "counter");
}

/** Facts by name, added. */
export function sumFacts(all: Iterable<Readonly<Record<string, number>>>): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const facts of all) {
    for (const [name, value] of Object.entries(facts)) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}
