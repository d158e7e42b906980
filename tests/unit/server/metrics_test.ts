import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FshError } from "../../../lib/base/errors.ts";
import { Metrics } from "../../../lib/server/metrics.ts";
import { metricsPage } from "../../../lib/server/metrics_page.ts";

const LIVE = { sessions: 3, unknown: 1, files: 2, received: 10, sent: 20, pluginFailures: 0 };

function counted(): Metrics {
  const metrics = new Metrics(() => LIVE);
  metrics.opened = 5;
  metrics.received = 100;
  metrics.answered("GET", null);
  metrics.answered("PUT", new FshError("PUT_TOO_LARGE"));
  metrics.answered("PUT", new FshError("TOO_SLOW", { remote: true }));
  metrics.refused(new FshError("TOO_MANY_SESSIONS"));
  return metrics;
}

Deno.test("limits are counted by their errors, those of the other side aside", () => {
  const metrics = counted();
  assertEquals([metrics.hits("put"), metrics.hits("sessions"), metrics.hits("minRate")], [1, 1, 0]);
  assertEquals(metrics.summary(), {
    sessions: 5,
    refused: 1,
    requests: 3,
    failed: 2,
    received: 110,
    sent: 20,
    "max-put": 1,
    "max-sessions": 1,
  });
});

Deno.test("the page speaks the text format, and answers GET /metrics only", async () => {
  const page = metricsPage(counted());
  const response = await page(new Request("http://localhost/metrics"));
  assertMatch(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  for (
    const line of [
      "# TYPE fsh_sessions gauge",
      "fsh_sessions 3",
      "fsh_sessions_unauthenticated 1",
      "# TYPE fsh_requests_total counter",
      'fsh_requests_total{command="GET",outcome="ok"} 1',
      'fsh_requests_total{command="PUT",outcome="PUT_TOO_LARGE"} 1',
      'fsh_bytes_total{direction="in"} 110',
      'fsh_refused_total{reason="TOO_MANY_SESSIONS"} 1',
      'fsh_limit_hits_total{limit="max-put"} 1',
      'fsh_limit_hits_total{limit="keep-free"} 0',
      "fsh_open_files 2",
    ]
  ) assertStringIncludes(`\n${text}\n`, `\n${line}\n`);
  // A second look sees the same: nothing is added up twice.
  assertEquals(await (await page(new Request("http://localhost/metrics"))).text(), text);
  assertEquals((await page(new Request("http://localhost/metrics", { method: "POST" }))).status, 405);
  assertEquals((await page(new Request("http://localhost/"))).status, 404);
});
