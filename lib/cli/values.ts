import { FshError } from "../base/errors.ts";

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

/** `30s`, `500ms`, `2m`, `1h`, `1d`, a number of seconds, or `off`; as milliseconds, 0 for off. */
export function parseDuration(option: string, text: string): number {
  if (text === "off" || text === "0") return 0;
  const parts = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|)$/.exec(text);
  const ms = parts ? Number(parts[1]) * (DURATION_UNITS[parts[2] || "s"] ?? NaN) : NaN;
  if (!(ms >= 1 && ms <= 2 ** 31 - 1)) {
    throw wrongValue(option, text, "a duration such as 30s, 500ms, 2m, or off; 24 days at the most");
  }
  return Math.round(ms);
}

/** `10M`, `512K`, `1G` or a number of bytes; units of 1024. */
export function parseSize(option: string, text: string): number {
  const parts = /^([0-9]+(?:\.[0-9]+)?)([KMGT]?)(?:i?B)?$/i.exec(text);
  const bytes = parts ? Math.round(Number(parts[1]) * (SIZE_UNITS[(parts[2] ?? "").toUpperCase()] ?? NaN)) : NaN;
  if (!Number.isSafeInteger(bytes)) throw wrongValue(option, text, "a size such as 512K, 10M or 1G");
  return bytes;
}

export function parseWhole(option: string, text: string, range: { min: number; max: number }): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!(value >= range.min && value <= range.max)) {
    throw wrongValue(option, text, `a whole number from ${range.min} to ${range.max}`);
  }
  return value;
}

export function parseChoice<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw wrongValue(option, text, `one of ${choices.join(", ")}`);
  return found;
}

function wrongValue(option: string, text: string, wanted: string): FshError {
  return new FshError("USAGE", { subject: `--${option} ${text}`, detail: `it takes ${wanted}` });
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1.5 GiB`; three digits or so. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  while (bytes >= 1024 && unit < SIZES.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${SIZES[unit]}`;
}

/** `0:07`, `12:30`, `1:02:03`. */
export function formatClock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** `0.4 s` or a clock from a minute on. */
export function formatSeconds(seconds: number): string {
  return seconds < 60 ? `${seconds.toFixed(seconds < 10 ? 2 : 1)} s` : formatClock(seconds);
}
