import { formatBytes } from "../values.ts";

/** `1.5 MiB/s` */
export function formatRate(rate: number): string {
  return `${formatBytes(rate)}/s`;
}

/** `12%` */
export function percent(part: number): string {
  return `${(100 * part).toFixed(part < 0.1 && part > 0 ? 1 : 0)}%`;
}

/** Milliseconds as `0.12 ms`, `40 ms`, `3.1 s`. */
export function time(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 1 ? 3 : ms < 10 ? 2 : 0)} ms`;
}
