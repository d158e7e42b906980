import { printable } from "../base/bytes.ts";
import { print } from "./output.ts";

/** Prints columns of text, each as wide as its widest cell; control characters of cells are shown, not executed. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const shown = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of shown) row.forEach((cell, at) => widths[at] = Math.max(widths[at] ?? 0, cell.length));
  for (const row of shown) print(row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ").trimEnd());
}
