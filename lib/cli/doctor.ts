import { jsonText, printable } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import { formatUrl } from "../client/url.ts";
import type { Args, Environment, Subcommand } from "./args.ts";
import { connect, CONNECTION_OPTIONS, remoteUrl } from "./connection.ts";
import { examine } from "./doctor/examination.ts";
import { tcpBufferLimits } from "./doctor/kernel_settings.ts";
import { checkMachine } from "./doctor/machine.ts";
import { examinationText, machineText, optionReports } from "./doctor/report.ts";
import { print } from "./output.ts";
import { durationOf, durationOption } from "./session_options.ts";
import { socketTuning } from "./socket_options.ts";
import { parseSize } from "./values.ts";

/** Milliseconds of a trial: less shows nothing, more shows no more. */
const LEAST_TIME = 100;
const MOST_TIME = 600_000;
/** Bytes of a trial. */
const LEAST_BYTES = 1024 * 1024;

export const doctorCommand: Subcommand = {
  name: "doctor",
  usage: ["[--json] [URL]"],
  summary: "find out what limits transfers, and what to change",
  details:
    `With a URL: moves bytes both ways for some seconds, and says what they waited for: the network, a disk, a CPU, or a
window that is too small for the round trip. The get is of the file that the URL names, or of the largest one in the
folder; it goes to an unnamed file in --folder. The put is given up before it is complete, and where removing is allowed
a small file is put whole and removed, to see the server's disk. Nothing stays on either side.

Without a URL: looks at this machine.

  fsh doctor
  fsh doctor fsh://host/large.iso
  fsh doctor --recv-buffer 256K fsh://host/folder/`,
  options: [
    { name: "json", help: "as one JSON object; times in milliseconds, rates in bytes per second" },
    durationOption("time", 3000, "of each trial at the most"),
    { name: "bytes", value: "SIZE", default: "512M", help: "of each trial at the most" },
    { name: "folder", value: "DIR", default: ".", help: "of this machine: where what comes is written to" },
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 0, max: 1 },

  async run(args, environment) {
    const [operand] = args.operands;
    if (operand === undefined) await lookHere(args, environment);
    else await lookThere(operand, args, environment);
    return 0;
  },
};

async function lookHere(args: Args, { signal }: Environment): Promise<void> {
  const checks = await checkMachine(args.value("folder"), signal);
  if (args.has("json")) print(jsonText({ checks }));
  else printLines(machineText(checks));
}

async function lookThere(operand: string, args: Args, environment: Environment): Promise<void> {
  const url = remoteUrl(operand);
  const time = durationOf(args, "time");
  if (time < LEAST_TIME || time > MOST_TIME) {
    throw new FshError("USAGE", { subject: `--time ${args.value("time")}`, detail: "it takes 100ms to 10m" });
  }
  const bytes = parseSize("bytes", args.value("bytes"));
  if (bytes < LEAST_BYTES) {
    throw new FshError("USAGE", { subject: `--bytes ${args.value("bytes")}`, detail: "it takes 1M or more" });
  }
  const tuning = socketTuning(args);
  const options = {
    path: url.path,
    folder: args.value("folder"),
    time,
    bytes,
    signal: environment.signal,
    encrypted: url.scheme !== "fsh",
    tuning,
    limits: tcpBufferLimits(),
  };
  const begun = performance.now();
  const client = await connect(url, args, environment);
  const connected = performance.now() - begun;
  try {
    const examination = await examine(client, options);
    if (args.has("json")) {
      const { granted, ...rest } = examination;
      const options = granted === null ? null : optionReports(tuning, granted);
      print(jsonText({ url: formatUrl(url), remote: client.session.remote, connected, options, ...rest }));
    } else {
      print(`${formatUrl(url)} (${client.session.remote}), connected in ${connected.toFixed(1)} ms`);
      printLines(examinationText(examination, tuning));
    }
    if (examination.get.skipped !== undefined && examination.put.skipped !== undefined) {
      throw new FshError("NOTHING_TRIED", {
        subject: formatUrl(url),
        detail: "name a file of some megabytes that may be read, or a folder that may be written to",
      });
    }
  } finally {
    await client.close();
  }
}

/** Names may be the server's. */
function printLines(lines: readonly string[]): void {
  for (const line of lines) print(printable(line));
}
