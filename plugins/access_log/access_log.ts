/**
 * `access-log`: one line per command, refused login and session, for people and for programs.
 *
 * Lines name who, what, how much, how long and how it went; never a password, a token or a key. A disk that is full
 * costs lines, not transfers.
 *
 * @module
 */
import { FshError, type Plugin, type PluginLog } from "../../lib/plugin.ts";
import { numberOption, sizeOption, started, textOption } from "../option_values.ts";
import { LogFile } from "./log_file.ts";
import { commonLine, jsonLine, type LoggedEvent } from "./log_line.ts";

interface Sink {
  write(line: string): Promise<void>;
  close(): Promise<void>;
}

export function createAccessLog(): Plugin {
  let sink: Sink | undefined;
  let format: (event: LoggedEvent) => string = jsonLine;
  const record = (event: LoggedEvent) => started(sink).write(format(event));
  return {
    name: "access-log",
    description: "one line per command, refused login and session",
    options: {
      file: { type: "string", optional: true, help: "where the lines go; default: standard output" },
      format: { type: "string", default: "common", values: ["common", "json"], help: "form of the lines" },
      "rotate-size": { type: "string", optional: true, help: "put the file aside at this size, such as 10M" },
      keep: { type: "number", default: 5, help: "how many files are kept aside: FILE.1 is the youngest" },
    },
    async start({ options, log }) {
      format = options.format === "json" ? jsonLine : commonLine;
      const path = textOption(options, "file");
      const rotateSize = sizeOption(options, "rotate-size");
      const keep = numberOption(options, "keep");
      if (!Number.isInteger(keep) || keep > 1000) {
        throw new FshError("USAGE", { subject: `option keep=${keep}`, detail: "it takes a whole number up to 1000" });
      }
      if (rotateSize === 0) throw new FshError("USAGE", { subject: "option rotate-size=0", detail: "that is no size" });
      if (path === undefined) {
        sink = standardOutput(log);
        return;
      }
      const file = new LogFile(path, { rotateSize, keep, log });
      await file.open();
      sink = file;
    },
    async stop() {
      await sink?.close();
      sink = undefined;
    },
    hooks: { completed: record, failed: record, disconnect: record },
  };
}

/** Lines on standard output, one after the other; once nobody reads them there are no more. */
function standardOutput(log: PluginLog): Sink {
  let last = Promise.resolve();
  let broken = false;
  const writeAll = async (line: string) => {
    const bytes = new TextEncoder().encode(line + "\n");
    for (let at = 0; at < bytes.length && !broken;) at += await Deno.stdout.write(bytes.subarray(at));
  };
  return {
    write(line) {
      last = last.then(() => writeAll(line)).catch((error) => {
        if (!broken) log.error("access log not written: standard output is gone", { error: String(error) });
        broken = true;
      });
      return last;
    },
    close: () => last,
  };
}
