import { FshError } from "../base/errors.ts";
import { osError } from "../storage/os_error.ts";
import type { TraceRecord } from "../trace/trace_format.ts";
import { FRAMES } from "../wire/frames.ts";
import type { Args, Subcommand } from "./args.ts";
import { note, printAll } from "./output.ts";
import { parseWhole } from "./values.ts";

/** Characters that are gathered before they are printed. */
const GATHER = 64 * 1024;

export const traceCommand: Subcommand = {
  name: "trace",
  usage: ["[--session ID] [--stream N] [--frame NAME]... [--json] FILE"],
  summary: "print what --trace wrote: every frame of every session",
  details:
    `One line for each frame: time (UTC), session, direction (> from the client, < from the server), frame, stream,
length, and fields. Secrets were never written. Filters go together: what is printed passes all of them.

  fsh serve --trace server.trace      write one; client commands take --trace, too
  fsh trace server.trace
  fsh trace --session c2 --frame GET --frame END server.trace
  fsh trace --json server.trace       one JSON object per line`,
  options: [
    {
      name: "session",
      value: "ID",
      help: "this session only: c1, c2 … as in the lines, or its name in the server's log",
    },
    { name: "stream", value: "N", help: "frames of this stream only; 0: those of none" },
    { name: "frame", value: "NAME", repeat: true, help: "frames of this name only; may be repeated" },
    { name: "hex", short: "x", help: "what was kept of each payload, too" },
    { name: "json", help: "one JSON object per line" },
  ],
  operands: { min: 1, max: 1 },

  async run(args) {
    const path = args.operands[0] ?? "";
    const wants = filterOf(args);
    const session = await findSession(args, path);
    const { hexLines, jsonLine, textLine } = await import("../trace/trace_line.ts");
    const json = args.has("json");
    let text = "";
    for await (const record of records(path)) {
      if ((session !== null && record.session !== session) || !wants(record)) continue;
      text += (json ? jsonLine(record) : textLine(record)) + "\n";
      if (args.has("hex") && record.kind === "frame") {
        text += hexLines(record.frame.kept).map((line) => `${line}\n`).join("");
      }
      if (text.length > GATHER) {
        await printAll(text);
        text = "";
      }
    }
    await printAll(text);
    return 0;
  },
};

/** @throws {FshError} BAD_TRACE, or why the file can't be read */
async function* records(path: string): AsyncGenerator<TraceRecord> {
  const { readTrace } = await import("../trace/trace_format.ts");
  const { ByteSource } = await import("../trace/byte_source.ts");
  const file = await Deno.open(path).catch((error) => {
    throw osError(error, path);
  });
  try {
    yield* readTrace(
      new ByteSource(file),
      () => note("fsh: the trace ends within a record: what wrote it was cut off"),
    );
  } catch (error) {
    throw error instanceof FshError ? error.about(path) : osError(error, path);
  } finally {
    file.close();
  }
}

function filterOf(args: Args): (record: TraceRecord) => boolean {
  const stream = args.has("stream")
    ? parseWhole("stream", args.value("stream"), { min: 0, max: 2 ** 32 - 1 })
    : undefined;
  const codes = args.values("frame").map(codeOf);
  if (stream === undefined && codes.length === 0) return () => true;
  return (record) => {
    if (record.kind !== "frame") return false;
    const { header } = record.frame;
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    return (stream === undefined || view.getUint32(8) === stream) &&
      (codes.length === 0 || codes.includes(view.getUint8(4)));
  };
}

function codeOf(name: string): number {
  const found = Object.entries(FRAMES).find(([known]) => known === name.toUpperCase());
  if (found) return found[1].code;
  throw new FshError("USAGE", {
    subject: `--frame ${name}`,
    detail: `it takes one of ${Object.keys(FRAMES).join(", ")}`,
  });
}

/** The number of the session that is wanted; null: all are. @throws {FshError} NOT_FOUND */
async function findSession(args: Args, path: string): Promise<number | null> {
  if (!args.has("session")) return null;
  const wanted = args.value("session");
  const number = /^c([1-9][0-9]{0,9})$/.exec(wanted)?.[1];
  if (number !== undefined) return Number(number);
  const { readFrame } = await import("../trace/trace_line.ts");
  for await (const record of records(path)) {
    if (record.kind !== "frame") continue;
    const { name, fields } = readFrame(record.frame);
    if (name === "READY" && fields?.session === wanted) return record.session;
  }
  throw new FshError("NOT_FOUND", { subject: `--session ${wanted}`, detail: "the trace has no session of that name" });
}
