import { parseArgs } from "@std/cli/parse-args";
import { FshError } from "../base/errors.ts";

/** An option of a subcommand: what is parsed and what `fsh help` prints come from the same row. */
export interface OptionRow {
  readonly name: string;
  readonly short?: string;
  /** What its value is called in the help; without it the option is a switch. */
  readonly value?: string;
  readonly default?: string;
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
  readonly #switches: ReadonlySet<string>;

  constructor(operands: readonly string[], values: ReadonlyMap<string, string>, switches: ReadonlySet<string>) {
    this.operands = operands;
    this.#values = values;
    this.#switches = switches;
  }

  /** The value as given, or the table's default. */
  value(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined) throw new FshError("INTERNAL", { detail: `option ${name} has neither value nor default` });
    return value;
  }

  has(name: string): boolean {
    return this.#switches.has(name) || this.#values.has(name);
  }
}

/** @throws {FshError} USAGE: an unknown option, a missing value, too few or too many operands */
export function parseSubcommand(command: Subcommand, argv: readonly string[]): Args {
  const usage = (detail: string) =>
    new FshError("USAGE", { subject: `fsh ${command.name}`, detail: `${detail}; see: fsh help ${command.name}` });
  const valued = command.options.filter((option) => option.value !== undefined);
  const switches = command.options.filter((option) => option.value === undefined);
  const parsed = parseArgs(argv, {
    string: ["_", ...valued.map((option) => option.name)],
    boolean: switches.map((option) => option.name),
    alias: Object.fromEntries(command.options.flatMap(({ name, short }) => short ? [[name, short]] : [])),
    unknown(argument, key) {
      if (key !== undefined) throw usage(`unknown option ${argument}`);
      return true;
    },
  });

  const values = new Map<string, string>();
  for (const { name, default: fallback } of valued) {
    const value = parsed[name];
    if (value === "" || (value !== undefined && typeof value !== "string")) throw usage(`--${name} needs a value`);
    if (typeof value === "string") values.set(name, value);
    else if (fallback !== undefined) values.set(name, fallback);
  }
  const operands = parsed._.map(String);
  const { min, max } = command.operands;
  if (operands.length < min) throw usage("something is missing");
  if (operands.length > max) throw usage(`${operands[max]} is one argument too many`);
  return new Args(operands, values, new Set(switches.map((option) => option.name).filter((name) => parsed[name])));
}
