import { parseArgs } from "@std/cli/parse-args";
import { FshError } from "../base/errors.ts";

/** An option of a subcommand: what is parsed and what `fsh help` prints come from the same row. */
export interface OptionRow {
  readonly name: string;
  readonly short?: string;
  /** What its value is called in the help; without it the option is a switch. */
  readonly value?: string;
  readonly default?: string;
  /** What it means without a value, which then comes only behind `=`. */
  readonly bare?: string;
  /** May be given several times. */
  readonly repeat?: true;
  readonly help: string;
}

/** A subcommand: its file in `cli/` exports one. */
export interface Subcommand {
  readonly name: string;
  /** Lines behind `fsh NAME`, one per form. */
  readonly usage: readonly string[];
  readonly summary: string;
  /** Paragraphs and examples for `fsh help NAME`. */
  readonly details: string;
  readonly options: readonly OptionRow[];
  /** Positional arguments: how few and how many. */
  readonly operands: { readonly min: number; readonly max: number };
  run(args: Args, environment: Environment): Promise<number>;
}

/** What a subcommand has of the world around it. */
export interface Environment {
  /** Aborted with INTERRUPTED by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
}

/** Parsed arguments; every name was checked against the subcommand's table. */
export class Args {
  readonly operands: readonly string[];
  readonly #values: ReadonlyMap<string, string>;
  readonly #defaults: ReadonlyMap<string, string>;
  readonly #switches: ReadonlySet<string>;
  readonly #lists: ReadonlyMap<string, readonly string[]>;

  constructor(
    operands: readonly string[],
    given: {
      values: ReadonlyMap<string, string>;
      defaults: ReadonlyMap<string, string>;
      switches: ReadonlySet<string>;
      lists: ReadonlyMap<string, readonly string[]>;
    },
  ) {
    this.operands = operands;
    this.#values = given.values;
    this.#defaults = given.defaults;
    this.#switches = given.switches;
    this.#lists = given.lists;
  }

  /** The value as given, or the table's default. */
  value(name: string): string {
    const value = this.#values.get(name) ?? this.#defaults.get(name);
    if (value === undefined) throw new FshError("INTERNAL", { detail: `option ${name} has neither value nor default` });
    return value;
  }

  /** Every value of an option that may be given several times, in order. */
  values(name: string): readonly string[] {
    return this.#lists.get(name) ?? [];
  }

  /** Whether it was given, not merely has a default. */
  has(name: string): boolean {
    return this.#switches.has(name) || this.#values.has(name);
  }
}

/** The words with a value where an option may do without. */
function filled(argv: readonly string[], options: readonly OptionRow[]): string[] {
  const end = argv.indexOf("--");
  return argv.map((word, at) => {
    const row = end === -1 || at < end
      ? options.find(({ name, bare }) => bare !== undefined && word === `--${name}`)
      : null;
    return row ? `${word}=${row.bare}` : word;
  });
}

/** @throws {FshError} USAGE: an unknown option, a missing value, too few or too many operands */
export function parseSubcommand(command: Subcommand, argv: readonly string[]): Args {
  const usage = (detail: string) =>
    new FshError("USAGE", { subject: `fsh ${command.name}`, detail: `${detail}; see: fsh help ${command.name}` });
  const valued = command.options.filter((option) => option.value !== undefined);
  const repeated = valued.filter((option) => option.repeat);
  const switches = command.options.filter((option) => option.value === undefined);
  const parsed = parseArgs(filled(argv, command.options), {
    string: ["_", ...valued.map((option) => option.name)],
    boolean: switches.map((option) => option.name),
    collect: repeated.map((option) => option.name),
    alias: Object.fromEntries(command.options.flatMap(({ name, short }) => short ? [[name, short]] : [])),
    unknown(argument, key) {
      if (key !== undefined) throw usage(`unknown option ${argument}`);
      return true;
    },
  });

  const values = new Map<string, string>();
  const defaults = new Map<string, string>();
  const lists = new Map<string, readonly string[]>();
  for (const { name } of repeated) {
    const given = parsed[name];
    const list = Array.isArray(given) ? given.map(String) : [];
    if (list.includes("")) throw usage(`--${name} needs a value`);
    lists.set(name, list);
  }
  for (const { name, default: fallback, repeat } of valued) {
    if (repeat) continue;
    const value = parsed[name];
    if (value === "" || (value !== undefined && typeof value !== "string")) throw usage(`--${name} needs a value`);
    if (typeof value === "string") values.set(name, value);
    if (fallback !== undefined) defaults.set(name, fallback);
  }
  const operands = parsed._.map(String);
  const { min, max } = command.operands;
  if (operands.length < min) throw usage("something is missing");
  if (operands.length > max) throw usage(`${operands[max]} is one argument too many`);
  const on = new Set(switches.map((option) => option.name).filter((name) => parsed[name]));
  return new Args(operands, { values, defaults, switches: on, lists });
}
