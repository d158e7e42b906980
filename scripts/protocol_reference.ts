// Writes the reference part of PROTOCOL.md from the FRAMES and ERRORS tables. `--check` only compares.
import { dirname, fromFileUrl, join } from "@std/path";
import { ERRORS } from "../lib/base/errors.ts";
import { type FieldName, FIELDS } from "../lib/wire/field.ts";
import { type FrameName, frameRow, FRAMES } from "../lib/wire/frames.ts";

const BEGIN = "<!-- reference: written by scripts/protocol_reference.ts from the tables in lib -->";
const END = "<!-- end of the reference -->";

const path = join(dirname(dirname(fromFileUrl(import.meta.url))), "PROTOCOL.md");
const document = await Deno.readTextFile(path);
const [before, rest = ""] = document.split(BEGIN);
const after = rest.split(END)[1] ?? "";
const wanted = `${before}${BEGIN}\n\n${reference()}\n${END}${after}`;
if (Deno.args.includes("--check")) {
  // How lines are broken is the formatter's business.
  const words = (text: string) => text.split(/\s+/).join(" ");
  if (words(wanted) !== words(document)) {
    console.error("PROTOCOL.md differs from the tables; run: scripts/deno run -A scripts/protocol_reference.ts");
    Deno.exit(1);
  }
} else await Deno.writeTextFile(path, wanted);

function reference(): string {
  const used = new Set<FieldName>();
  let text = "### Frames\n";
  for (const name of Object.keys(FRAMES) as FrameName[]) {
    const row = frameRow(name);
    const facts = [
      `sent by ${row.sender === "both" ? "either side" : `the ${row.sender}`}`,
      `in ${row.phases.join(", ")}`,
      { session: "stream 0", opens: "opens a stream", stream: "on a stream", any: "stream 0 or a stream" }[row.on],
      `at most ${row.max} bytes`,
      ...(row.metered ? ["metered"] : []),
      ...(row.fin ? ["may carry FIN"] : []),
    ];
    text += `\n#### ${name} 0x${row.code.toString(16).padStart(2, "0")}\n\n${row.doc}\n\n${facts.join("; ")}.\n`;
    if (row.fields === null) text += "\nPayload: the bytes themselves.\n";
    else {
      text += "\n";
      for (const [field, type] of Object.entries(row.fields)) {
        used.add(type);
        text += `- \`${field}\`: ${type}\n`;
      }
    }
  }
  text += "\n### Field types\n\n";
  for (const name of Object.keys(FIELDS) as FieldName[]) {
    if (used.has(name)) text += `- **${name}**: ${FIELDS[name].doc}.\n`;
  }
  text += "\n### Errors\n";
  text +=
    "\nName, code, whether the same request may succeed later, the exit status of the command line, and its meaning.\n\n";
  for (const [name, { code, retryable, exit, message }] of Object.entries(ERRORS)) {
    text += `- **${name}** (${code}, ${retryable ? "retryable" : "final"}, exit ${exit}): ${message}\n`;
  }
  return text;
}
