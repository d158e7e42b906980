import { Counter, Gauge, Registry } from "prom-client";
import type { Metric } from "./metrics.ts";

/** Who has the numbers: a server, or several together. */
export interface MetricsSource {
  all(): readonly Metric[] | Promise<readonly Metric[]>;
}

/** Answers GET /metrics in the text format of Prometheus, and nothing else. */
export function metricsPage(metrics: MetricsSource): (request: Request) => Promise<Response> {
  return async (request) => {
    if (new URL(request.url).pathname !== "/metrics") return new Response("not found\n", { status: 404 });
    if (request.method !== "GET") {
      return new Response("method not allowed\n", { status: 405, headers: { allow: "GET" } });
    }
    const registry = new Registry();
    for (const metric of await metrics.all()) register(metric, registry);
    return new Response(await registry.metrics(), { headers: { "content-type": registry.contentType } });
  };
}

function register({ name, type, help, values }: Metric, registry: Registry): void {
  const options = { name, help, labelNames: Object.keys(values[0]?.labels ?? {}), registers: [registry] };
  if (type === "gauge") {
    const gauge = new Gauge(options);
    for (const { labels, value } of values) gauge.set(labels, value);
  } else {
    const counter = new Counter(options);
    for (const { labels, value } of values) counter.inc(labels, value);
  }
}
