import { FshError } from "../base/errors.ts";
import type { OptionDeclaration, OptionValue } from "./plugin.ts";

/** Options as they were given: every value of every key, by plugin. */
export type GivenOptions = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

/** Reads `NAME.KEY=VALUE`s. @throws {FshError} USAGE */
export function readGivenOptions(texts: readonly string[]): GivenOptions {
  const given = new Map<string, Map<string, string[]>>();
  for (const text of texts) {
    const parts = /^([^.=]+)\.([^=]+)=(.*)$/s.exec(text);
    if (!parts) {
      throw new FshError("USAGE", { subject: `--plugin-option ${text}`, detail: "it takes NAME.KEY=VALUE" });
    }
    const [, plugin = "", key = "", value = ""] = parts;
    const keys = given.get(plugin) ?? new Map<string, string[]>();
    given.set(plugin, keys.set(key, [...keys.get(key) ?? [], value]));
  }
  return given;
}

/** A plugin's options: what was given, checked against what it declares, and its defaults. @throws {FshError} USAGE */
export function pluginOptions(
  plugin: { readonly name: string; readonly options: Readonly<Record<string, OptionDeclaration>> },
  given: GivenOptions,
): Record<string, OptionValue> {
  const { name, options: declared } = plugin;
  const values: Record<string, OptionValue> = {};
  const keys = given.get(name) ?? new Map<string, readonly string[]>();
  for (const [key, texts] of keys) {
    const declaration = Object.hasOwn(declared, key) ? declared[key] : undefined;
    if (!declaration) {
      const known = Object.keys(declared).join(", ") || "none";
      throw new FshError("USAGE", {
        subject: `--plugin-option ${name}.${key}`,
        detail: `the plugin has no such option; it has ${known}`,
      });
    }
    values[key] = readValue(`${name}.${key}`, texts, declaration);
  }
  for (const [key, { default: fallback, optional, help }] of Object.entries(declared)) {
    if (values[key] !== undefined) continue;
    if (fallback !== undefined) values[key] = fallback;
    else if (!optional) {
      throw new FshError("USAGE", { subject: `--plugin-option ${name}.${key}`, detail: `it is needed: ${help}` });
    }
  }
  return values;
}

function readValue(key: string, texts: readonly string[], declaration: OptionDeclaration): OptionValue {
  const { type, values } = declaration;
  const wrong = (text: string, wanted: string) =>
    new FshError("USAGE", { subject: `--plugin-option ${key}=${text}`, detail: `it takes ${wanted}` });
  const choose = (text: string, value: string | number) => {
    if (values && !values.includes(value)) throw wrong(text, `one of ${values.join(", ")}`);
    return value;
  };
  if (type === "strings") return texts.map((text) => String(choose(text, text)));
  const text = texts.at(-1) ?? "";
  if (texts.length > 1) throw wrong(text, "one value");
  if (type === "string") return choose(text, text);
  if (type === "number") {
    const number = Number(text);
    if (text.trim() === "" || Number.isNaN(number)) throw wrong(text, "a number");
    return choose(text, number);
  }
  if (text !== "true" && text !== "false") throw wrong(text, "true or false");
  return text === "true";
}
