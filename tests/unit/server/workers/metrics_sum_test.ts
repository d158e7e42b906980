import { assertEquals } from "@std/assert";
import { FshError } from "../../../../lib/base/errors.ts";
import { Metrics } from "../../../../lib/server/metrics.ts";
import { countersOf, sumFacts, sumMetrics } from "../../../../lib/server/workers/metrics_sum.ts";

function counted(sessions: number, fill: (metrics: Metrics) => void): Metrics {
  const metrics = new Metrics(() => ({
    sessions,
    unknown: 0,
    files: 2,
    received: 10,
    sent: 20,
    pluginFailures: 0,
  }));
  fill(metrics);
  return metrics;
}

Deno.test("numbers are added by name and labels; what only one has is kept", () => {
  const one = counted(3, (metrics) => {
    metrics.answered("GET", null);
    metrics.answered("GET", new FshError("NOT_FOUND"));
    metrics.received = 100;
  });
  const other = counted(4, (metrics) => {
    metrics.answered("GET", null);
    metrics.answered("PUT", null);
    metrics.hit("sessions");
  });
  const sum = sumMetrics([one.all(), other.all()]);
  assertEquals(sum.map(({ name, type }) => [name, type]), one.all().map(({ name, type }) => [name, type]));
  const values = (name: string) => sum.find((metric) => metric.name === name)?.values;
  assertEquals(values("fsh_sessions"), [{ labels: {}, value: 7 }]);
  assertEquals(values("fsh_open_files"), [{ labels: {}, value: 4 }]);
  assertEquals(values("fsh_requests_total"), [
    { labels: { command: "GET", outcome: "ok" }, value: 2 },
    { labels: { command: "GET", outcome: "NOT_FOUND" }, value: 1 },
    { labels: { command: "PUT", outcome: "ok" }, value: 1 },
  ]);
  assertEquals(values("fsh_bytes_total"), [
    { labels: { direction: "in" }, value: 120 },
    { labels: { direction: "out" }, value: 40 },
  ]);
  assertEquals(values("fsh_limit_hits_total")?.find(({ labels }) => labels.limit === "max-sessions")?.value, 1);
});

Deno.test("of a server that has gone only counters are left", () => {
  const gone = countersOf(counted(3, (metrics) => metrics.opened = 5).all());
  const sum = sumMetrics([counted(1, (metrics) => metrics.opened = 2).all(), gone]);
  const value = (name: string) => sum.find((metric) => metric.name === name)?.values[0]?.value;
  assertEquals([value("fsh_sessions"), value("fsh_sessions_opened_total")], [1, 7]);
});

Deno.test("facts are added by name", () => {
  assertEquals(sumFacts([{ sessions: 1, requests: 2 }, {}, { sessions: 3, failed: 1 }]), {
    sessions: 4,
    requests: 2,
    failed: 1,
  });
});
