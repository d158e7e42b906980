import { parse } from "acorn";

/** An import of a module, or a re-export. */
export interface ModuleImport {
  readonly specifier: string;
  /** Where the specifier stands in the code, its quotes included. */
  readonly start: number;
  readonly end: number;
}

/** What is wrong with a module, and where: lines and columns from 1. */
export class ModuleProblem extends Error {
  readonly line: number;
  readonly column: number;

  constructor(message: string, at: { readonly line: number; readonly column: number }) {
    super(message);
    this.line = at.line;
    this.column = at.column + 1;
  }
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly loc: { readonly start: { readonly line: number; readonly column: number } };
}

/**
 * The static imports of a module, in their order. A full parser reads it, not a lexer: `function () {} / import("x") / 1`
 * is a division to the engine and a regular expression to whoever guesses, and an import() that is not noticed could read
 * any module of the machine.
 *
 * @throws {ModuleProblem} where it is no module, has an import(), or imports with attributes
 */
export function moduleImports(code: string): ModuleImport[] {
  const imports: ModuleImport[] = [];
  for (const node of nodesOf(parseModule(code))) {
    if (node.type === "ImportExpression") {
      throw new ModuleProblem("import() is not there for plugins: import at the top of the file", node.loc.start);
    }
    const { source, attributes } = node as { source?: unknown; attributes?: unknown };
    if (!/^(Import|ExportNamed|ExportAll)Declaration$/.test(node.type) || !isNode(source)) continue;
    if (Array.isArray(attributes) && attributes.length > 0) {
      throw new ModuleProblem("plugins import modules only, without attributes", node.loc.start);
    }
    const { value, start, end } = source as unknown as { value: string; start: number; end: number };
    imports.push({ specifier: value, start, end });
  }
  return imports.sort((a, b) => a.start - b.start);
}

function parseModule(code: string): Node {
  try {
    return parse(code, { ecmaVersion: "latest", sourceType: "module", allowHashBang: true, locations: true }) as Node;
  } catch (error) {
    const { loc, message } = error as { loc?: { line: number; column: number }; message: string };
    // Without a place it is the stack that ran out.
    if (!loc) throw new ModuleProblem("it is nested too deeply", { line: 1, column: 0 });
    throw new ModuleProblem(message.replace(/ \(\d+:\d+\)$/, ""), loc);
  }
}

/** All nodes of a syntax tree; without recursion, as strangers decide how deep it is. */
function* nodesOf(root: Node): Generator<Node> {
  const open: unknown[] = [root];
  while (open.length > 0) {
    const next = open.pop();
    if (Array.isArray(next)) { for (const one of next) open.push(one); }
    else if (isNode(next)) {
      yield next;
      for (const value of Object.values(next)) if (typeof value === "object" && value !== null) open.push(value);
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}
