import { dirname, resolve } from "@std/path";
import { FshError } from "../base/errors.ts";
import type { Transport } from "../transport/transport.ts";
import type { Tracer } from "../trace/tracer.ts";
import type { Args, OptionRow } from "./args.ts";
import { parseSize } from "./values.ts";

/** Options that write down what goes over the sessions of this program, on either side. */
export const TRACE_OPTIONS: readonly OptionRow[] = [
  { name: "trace", value: "FILE", help: "write every frame to FILE, which fsh trace prints; secrets are left out" },
  { name: "pcap", value: "FILE", help: "write every frame to FILE for Wireshark, in the clear; zeros for secrets" },
  {
    name: "trace-payload",
    value: "BYTES",
    bare: "all",
    help: "with --trace and --pcap: what is in files, too, of each frame BYTES at the most, or all of it",
  },
  { name: "trace-limit", value: "SIZE", default: "100M", help: "largest trace and capture; then they end" },
];

/** One for all connections of a command, however often it connects. */
const tracers = new WeakMap<Args, Promise<Tracer>>();

/**
 * The transport, with --trace or --pcap all of whose connections are written down. Nothing of that is loaded otherwise.
 *
 * @throws {FshError} USAGE, TRACE_FAILED
 */
export async function traced<T extends Pick<Transport, "connect"> & Partial<Transport>>(
  transport: T,
  args: Args,
  { warn, served }: {
    readonly warn: (message: string) => void;
    /** The folder that clients see: there a trace has no place. */
    readonly served?: string;
  },
): Promise<T> {
  const files = ["trace", "pcap"].filter((name) => args.has(name));
  if (files.length === 0) return refuseAlone(args, transport);
  let tracer = tracers.get(args);
  if (!tracer) {
    if (new Set(files.map((name) => resolve(args.value(name)))).size < files.length) {
      throw new FshError("USAGE", { subject: "--pcap", detail: "it is another file than that of --trace" });
    }
    for (const name of files) await refuseServed(name, { path: args.value(name), served });
    tracer = openTracer(args, warn);
    tracers.set(args, tracer);
  }
  return (await tracer).over(transport);
}

/** Ends the files that a command has written, if any. */
export async function endTrace(args: Args): Promise<void> {
  const tracer = await tracers.get(args)?.catch(() => null);
  tracers.delete(args);
  await tracer?.close();
}

function refuseAlone<T>(args: Args, transport: T): T {
  const alone = ["trace-payload", "trace-limit"].find((name) => args.has(name));
  if (alone === undefined) return transport;
  throw new FshError("USAGE", { subject: `--${alone}`, detail: "it goes with --trace FILE or --pcap FILE" });
}

async function openTracer(args: Args, warn: (message: string) => void): Promise<Tracer> {
  const limit = parseSize("trace-limit", args.value("trace-limit"));
  const content = contentOf(args);
  const { Tracer } = await import("../trace/tracer.ts");
  const file = (name: string) => args.has(name) ? args.value(name) : undefined;
  return await Tracer.open({ trace: file("trace"), pcap: file("pcap"), limit, content, warn });
}

function contentOf(args: Args): number {
  if (!args.has("trace-payload")) return 0;
  const text = args.value("trace-payload");
  return text === "all" ? Infinity : parseSize("trace-payload", text);
}

/** A trace that clients could fetch would tell each of them about all others. */
async function refuseServed(
  option: string,
  { path, served }: { readonly path: string; readonly served: string | undefined },
): Promise<void> {
  if (served === undefined) return;
  const real = (path: string) => Deno.realPath(path).catch(() => resolve(path));
  const [folder, root] = [await real(dirname(resolve(path))), await real(served)];
  if (folder === root || folder.startsWith(root === "/" ? root : `${root}/`)) {
    throw new FshError("USAGE", {
      subject: `--${option} ${path}`,
      detail: "clients could get it: it must not lie in the served folder",
    });
  }
}
