import { FshError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import type { Subcommand } from "./args.ts";
import { print } from "./output.ts";

const EXIT_STATUS =
  `Exit status: 0 done · 1 other failure · 2 wrong usage · 3 no connection, or lost for good · 4 not permitted ·
5 not found · 6 integrity · 7 some of several failed · 130 interrupted.`;

/** Makes `fsh help`, which knows all the others. */
export function helpCommand(commands: () => readonly Subcommand[]): Subcommand {
  return {
    name: "help",
    usage: ["[COMMAND]"],
    summary: "explain fsh, or one command",
    details: "",
    options: [],
    operands: { min: 0, max: 1 },
    // deno-lint-ignore require-await
    async run(args) {
      const wanted = args.operands[0];
      const found = commands().find((command) => command.name === wanted);
      if (wanted !== undefined && !found) {
        throw new FshError("USAGE", { subject: wanted, detail: "no such command; see: fsh help" });
      }
      print(found ? explain(found) : overview(commands()));
      return 0;
    },
  };
}

function overview(commands: readonly Subcommand[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return `fsh ${VERSION}: moves files between machines. One side serves a folder, the other lists, gets and puts.

  fsh serve /srv/files                     on one machine: prints the URL to use
  fsh ls fsh://localhost/                  on the other
  fsh get fsh://localhost/report.pdf .
  fsh put -r photos fsh://localhost/

Commands:
${commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`).join("\n")}

fsh help COMMAND explains one of them and its options.

A URL is fsh://[user@]host[:port]/path; the port is 7374 if none is named; [::1] for an IPv6 address. In the path %20 is
a space, and so on; a plain space works, too. FSH_URL=fsh://host sets the default server; then /path is enough.
FSH_LOG=debug or trace shows what happens underneath.

${EXIT_STATUS}`;
}

function explain(command: Subcommand): string {
  const usage = command.usage.map((form) => `  fsh ${command.name} ${form}`).join("\n");
  const rows = command.options.map((option) => {
    const short = option.short ? `-${option.short}, ` : "    ";
    const value = !option.value ? "" : option.bare === undefined ? ` ${option.value}` : `[=${option.value}]`;
    const fallback = option.default ? ` [${option.default}]` : "";
    return [`  ${short}--${option.name}${value}`, option.help + fallback] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  const options = rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`).join("\n");
  const parts = [`fsh ${command.name}: ${command.summary}`, `Usage:\n${usage}`, command.details];
  if (options) parts.push(`Options [and defaults]:\n${options}`);
  return parts.filter((part) => part !== "").join("\n\n");
}
