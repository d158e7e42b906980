import { FshError, type OptionValue } from "../lib/plugin.ts";

type Options = Readonly<Record<string, OptionValue>>;

/** An option of type `string`; undefined if it was not given. */
export function textOption(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** An option of type `number`, which has a default or must be given. */
export function numberOption(options: Options, name: string): number {
  const value = options[name];
  if (typeof value !== "number" || !(value >= 0)) {
    throw new FshError("USAGE", { subject: `option ${name}`, detail: "it takes a number from 0 on" });
  }
  return value;
}

/** An option of type `strings`; empty if it was not given. */
export function listOption(options: Options, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value.map(String) : [];
}

const UNITS: Readonly<Record<string, number>> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** A size such as `512K`, `10M` or `1.5G`, in bytes; units of 1024. Undefined if it was not given. */
export function sizeOption(options: Options, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const parts = /^([0-9]+(?:\.[0-9]+)?)([KMGT]?)(?:i?B)?$/i.exec(text);
  const bytes = parts ? Math.round(Number(parts[1]) * (UNITS[(parts[2] ?? "").toUpperCase()] ?? NaN)) : NaN;
  if (!Number.isSafeInteger(bytes)) {
    throw new FshError("USAGE", {
      subject: `option ${name}=${text}`,
      detail: "it takes a size such as 512K, 10M or 1G",
    });
  }
  return bytes;
}

/** What `start` made; hooks come after it. */
export function started<T>(state: T | undefined): T {
  if (state === undefined) throw new FshError("INTERNAL", { detail: "a hook was called before start" });
  return state;
}
