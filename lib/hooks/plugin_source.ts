import { Buffer } from "node:buffer";
import { init, parse } from "es-module-lexer";
import { dirname, extname, isAbsolute, resolve, toFileUrl } from "@std/path";
import { transformSync } from "amaro";
import { FshError } from "../base/errors.ts";

/** Files that a plugin may consist of, and bytes of each. */
const MOST_FILES = 200;
const MOST_BYTES = 4 * 1024 * 1024;
const MODULE = "data:text/javascript;base64,";
const PLUGIN_MODULE = "export const definePlugin = (plugin) => plugin;\n";
/** The runtime shows this many characters of a long data URL at either end. */
const SHOWN = 20;

/** A plugin's files as one module that needs nothing from the disk. */
export interface PluginSource {
  readonly file: string;
  /** A data: URL whose imports are data: URLs. */
  readonly entry: string;
  /** What stack traces call the modules, and the files that they are. */
  readonly modules: readonly (readonly [string, string])[];
  /** All files that went into it. */
  readonly files: readonly string[];
}

/**
 * Reads a plugin and what it imports, strips the types, and puts it together as data: URLs: so a sandbox needs no right to
 * read, and an executable without a compiler can run TypeScript. Lines stay where they are.
 *
 * @throws {FshError} PLUGIN_FAILED, naming file and line
 */
export async function readPluginSource(file: string): Promise<PluginSource> {
  await init;
  const entry = resolve(file);
  const reader = new SourceReader();
  return { file: entry, entry: await reader.module(entry, []), modules: reader.modules, files: [...reader.files] };
}

class SourceReader {
  readonly modules: (readonly [string, string])[] = [];
  readonly files = new Set<string>();
  readonly #done = new Map<string, string>();

  /** The data: URL of a file; `above`: the files whose imports lead here. */
  async module(file: string, above: readonly string[]): Promise<string> {
    const done = this.#done.get(file);
    if (done !== undefined) return done;
    if (above.includes(file)) {
      throw failure(
        file,
        "it imports itself by way of other files, which plugins can't: move what both need to a third",
      );
    }
    if (this.files.size >= MOST_FILES) throw failure(file, `a plugin has ${MOST_FILES} files at the most`);
    this.files.add(file);
    const code = stripTypes(await readText(file, above.at(-1)), file);
    const url = this.#name(await this.#linked(code, file, above), file);
    this.#done.set(file, url);
    return url;
  }

  /** The code with its imports replaced by the modules that they mean. */
  async #linked(code: string, file: string, above: readonly string[]): Promise<string> {
    let linked = "";
    let from = 0;
    for (const { s, e, d, ss } of importsOf(code, file)) {
      // import.meta
      if (d === -2) continue;
      const line = lineOf(code, ss);
      if (d > -1) throw failure(`${file}:${line}`, "import() is not there for plugins: import at the top of the file");
      linked += code.slice(from, s) + await this.#target(code.slice(s, e), { file, line, above });
      from = e;
    }
    return linked + code.slice(from);
  }

  async #target(
    specifier: string,
    place: { file: string; line: number; above: readonly string[] },
  ): Promise<string> {
    const { file, line, above } = place;
    if (specifier === "fsh/plugin") return MODULE + base64(PLUGIN_MODULE);
    if (!/^\.\.?\//.test(specifier) && !isAbsolute(specifier)) {
      throw failure(
        `${file}:${line}`,
        `it imports ${specifier}; plugins import files by relative paths, and fsh/plugin`,
      );
    }
    return await this.module(resolve(dirname(file), decodeURIComponent(specifier)), [...above, file]);
  }

  /** Gives the code an end of its own, so that the shortened name in a stack trace is, too. */
  #name(code: string, file: string): string {
    const mark = `\n//# sourceURL=${toFileUrl(file)}\n// module ${String(this.#done.size).padStart(8, "0")}\n`;
    const text = base64(code + mark);
    const url = MODULE + text;
    this.modules.push([url, file], [`${MODULE}${text.slice(0, SHOWN)}......${text.slice(-SHOWN)}`, file]);
    return url;
  }
}

function importsOf(code: string, file: string) {
  try {
    return parse(code)[0];
  } catch (error) {
    const at = /@:(\d+):(\d+)/.exec(String(error));
    throw failure(at ? `${file}:${at[1]}:${at[2]}` : file, "the JavaScript can't be understood here");
  }
}

function stripTypes(code: string, file: string): string {
  if (![".ts", ".mts"].includes(extname(file))) return code;
  try {
    return transformSync(code, { mode: "strip-only", filename: file }).code;
  } catch (error) {
    const { message = String(error), startLine, startColumn } = error as Partial<Problem>;
    throw failure(startLine === undefined ? file : `${file}:${startLine}:${(startColumn ?? 0) + 1}`, message);
  }
}

/** What the type stripper throws. */
interface Problem {
  readonly message: string;
  readonly startLine: number;
  readonly startColumn: number;
}

async function readText(file: string, importer: string | undefined): Promise<string> {
  try {
    const { size } = await Deno.stat(file);
    if (size > MOST_BYTES) throw failure(file, `${size} bytes are too many for a file of a plugin`);
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof FshError) throw error;
    const by = importer === undefined ? "" : `, which ${importer} imports`;
    if (error instanceof Deno.errors.NotFound) throw failure(file + by, "there is no such file");
    throw failure(file + by, error instanceof Error ? error.message : String(error));
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function lineOf(code: string, at: number): number {
  return code.slice(0, at).split("\n").length;
}

function failure(subject: string, detail: string): FshError {
  return new FshError("PLUGIN_FAILED", { subject, detail });
}
