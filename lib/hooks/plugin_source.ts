import { Buffer } from "node:buffer";
import { dirname, extname, isAbsolute, relative, resolve, toFileUrl } from "@std/path";
import { transformSync } from "amaro";
import { FshError } from "../base/errors.ts";
import { stampOf } from "./file_stamp.ts";
import { moduleImports, ModuleProblem } from "./module_imports.ts";

/** Files that a plugin may consist of, and bytes of all of them together. */
const MOST_FILES = 200;
const MOST_BYTES = 4 * 1024 * 1024;
/** Characters of all modules once linked: each has in it what it imports, so they can grow with every level. */
const MOST_LINKED = 24 * 1024 * 1024;
const EXTENSIONS = [".ts", ".mts", ".js", ".mjs"];
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
  /** All files that went into it, and their stamp from just before they were read. */
  readonly files: readonly string[];
  readonly stamp: string;
}

/**
 * Reads a plugin and what it imports, strips the types, and puts it together as data: URLs: so a sandbox needs no right to
 * read, and an executable without a compiler can run TypeScript. Lines stay where they are.
 *
 * Files outside the plugin's folder are left alone unless it is `trusted`: a stranger's import would otherwise read, with
 * the server's rights, what its sandbox may not.
 *
 * @throws {FshError} PLUGIN_FAILED, naming file and line
 */
export async function readPluginSource(
  file: string,
  options: { readonly trusted?: boolean } = {},
): Promise<PluginSource> {
  const entry = resolve(file);
  const reader = new SourceReader(options.trusted ? null : await foldersOf(entry));
  const url = await reader.module(entry, []);
  const { modules, stamps } = reader;
  return { file: entry, entry: url, modules, files: [...reader.files], stamp: stamps.join() };
}

/** Where the files of a plugin may be: beside its name, and where that leads if it is a link. */
async function foldersOf(entry: string): Promise<readonly string[]> {
  try {
    return [await Deno.realPath(dirname(entry)), dirname(await Deno.realPath(entry))];
  } catch (error) {
    throw unreadable(entry, error);
  }
}

class SourceReader {
  readonly modules: (readonly [string, string])[] = [];
  readonly files = new Set<string>();
  readonly stamps: string[] = [];
  /** Null: anywhere. */
  readonly #folders: readonly string[] | null;
  readonly #done = new Map<string, string>();
  #bytes = 0;
  #linkedSize = 0;

  constructor(folders: readonly string[] | null) {
    this.#folders = folders;
  }

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
    const code = stripTypes(await this.#read(file, above.at(-1)), file);
    const url = this.#name(await this.#linked(code, file, above), file);
    this.#done.set(file, url);
    return url;
  }

  /** The code with its imports replaced by the modules that they mean. */
  async #linked(code: string, file: string, above: readonly string[]): Promise<string> {
    const parts: string[] = [];
    let from = 0;
    for (const { specifier, start, end } of importsOf(code, file)) {
      const target = await this.#target(specifier, { file, line: lineOf(code, start), above });
      parts.push(code.slice(from, start), `"${target}"`);
      this.#grow(target.length, file);
      from = end;
    }
    return parts.join("") + code.slice(from);
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
    return await this.module(resolve(dirname(file), decoded(specifier)), [...above, file]);
  }

  async #read(file: string, importer: string | undefined): Promise<string> {
    const subject = importer === undefined ? file : `${file}, which ${importer} imports`;
    if (!EXTENSIONS.includes(extname(file))) {
      throw failure(subject, `files of plugins are called ${EXTENSIONS.map((end) => `*${end}`).join(", ")}`);
    }
    try {
      const real = await Deno.realPath(file);
      if (this.#folders && !this.#folders.some((folder) => isBelow(real, folder))) {
        throw failure(subject, "it is outside the plugin's folder, where a plugin in a sandbox can't read");
      }
      this.stamps.push(await stampOf([file]));
      const { size, isFile } = await Deno.stat(real);
      if (!isFile) throw failure(subject, "it is not a file");
      this.#bytes += size;
      if (this.#bytes > MOST_BYTES) throw failure(subject, `a plugin has ${MOST_BYTES} bytes at the most`);
      return await Deno.readTextFile(real);
    } catch (error) {
      throw unreadable(subject, error);
    }
  }

  #grow(size: number, file: string): void {
    this.#linkedSize += size;
    if (this.#linkedSize > MOST_LINKED) {
      throw failure(file, "its files import each other too often for their size: put them together in fewer");
    }
  }

  /** Gives the code an end of its own, so that the shortened name in a stack trace is, too. */
  #name(code: string, file: string): string {
    const mark = `\n//# sourceURL=${toFileUrl(file)}\n// module ${String(this.#done.size).padStart(8, "0")}\n`;
    const text = base64(code + mark);
    const url = MODULE + text;
    this.#grow(url.length, file);
    this.modules.push([url, file], [`${MODULE}${text.slice(0, SHOWN)}......${text.slice(-SHOWN)}`, file]);
    return url;
  }
}

function importsOf(code: string, file: string) {
  try {
    return moduleImports(code);
  } catch (error) {
    if (!(error instanceof ModuleProblem)) throw error;
    throw failure(`${file}:${error.line}:${error.column}`, error.message);
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

function unreadable(subject: string, error: unknown): FshError {
  if (error instanceof FshError) return error;
  if (error instanceof Deno.errors.NotFound) return failure(subject, "there is no such file");
  return failure(subject, error instanceof Error ? error.message : String(error));
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !/^\.\.[/\\]/.test(way) && !isAbsolute(way);
}

/** As in a URL, where it is one: a lone `%` is a `%`. */
function decoded(specifier: string): string {
  try {
    return decodeURIComponent(specifier);
  } catch {
    return specifier;
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
