import { randomBytes } from "node:crypto";
import { FshError, toFshError } from "../../base/errors.ts";
import { VERSION } from "../../base/version.ts";
import { native } from "../../native/load.ts";
import { formatBytes } from "../values.ts";
import { FlushedFile } from "./flushed_file.ts";
import { kernelSetting, tcpBufferLimits } from "./kernel_settings.ts";
import { machineTime, shareOfCpu } from "./own_load.ts";
import { formatRate, percent } from "./words.ts";

/** One thing that was looked at. */
export interface Check {
  /** For programs. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** As it was found; null: this system does not tell. */
  readonly value: string | number | null;
  readonly text: string;
  /** What to change; null: it is well. */
  readonly advice: string | null;
}

const MIB = 1024 * 1024;
/** Half of a buffer is for data; so many bytes are under way at 1 Gbit/s over 50 ms. */
const WIDE = 2 * 50e-3 * 1e9 / 8;
/** A server keeps to a quarter of the descriptors that it may have. */
const ENOUGH_FILES = 4096;
/** Milliseconds of each trial. */
const DISK_TIME = 700;
const LOOPBACK_TIME = 300;
const CPU_TIME = 150;
/** Bytes that the trial of the disk writes at the most. */
const DISK_BYTES = 512 * MIB;

/** Looks at this machine: what fsh finds here, and how fast it is just now. */
export async function checkMachine(folder: string, signal: AbortSignal): Promise<Check[]> {
  const checks = [...checkProgram(), ...checkKernel()];
  for (const look of [checkCpu, () => checkDisk(folder, signal), checkLoopback]) {
    if (signal.aborted) throw new FshError("INTERRUPTED");
    checks.push(await look());
  }
  return checks;
}

function checkProgram(): Check[] {
  const { sockets, unconfined, process } = native();
  const files = process?.mostDescriptors ?? null;
  return [
    found("version", "fsh", VERSION, `${VERSION} (FSH/1, Deno ${Deno.version.deno}, ${Deno.build.target})`),
    {
      ...found("sockets", "socket options", sockets ? "yes" : "no", sockets ? "can be set and read" : "can't be set"),
      advice: sockets ? null : "they take Linux with glibc, and FSH_NATIVE not to be off; fsh works without them",
    },
    {
      ...found("confined", "paths", unconfined === null ? "yes" : "no", confinement(unconfined)),
      advice: unconfined === null ? null : "fsh serve: let nobody else on this machine write in the served folder",
    },
    {
      ...found("openFiles", "open files", files, files === null ? "" : `${files} at once`),
      advice: files !== null && files < ENOUGH_FILES
        ? "for a server: ulimit -n 65536, or LimitNOFILE= of systemd"
        : null,
    },
  ];
}

function confinement(unconfined: string | null): string {
  return unconfined === null ? "confined by the kernel (openat2)" : `checked before use, since ${unconfined}`;
}

function checkKernel(): Check[] {
  const { send, receive } = tcpBufferLimits();
  const [rmem, wmem] = [kernelSetting("net/core/rmem_max"), kernelSetting("net/core/wmem_max")];
  const congestion = kernelSetting("net/ipv4/tcp_congestion_control");
  const most = (name: string, bytes: number | null) => ({
    ...found(
      name,
      `net.ipv4.${name}`,
      bytes,
      bytes === null ? "" : `${formatBytes(bytes)} at the most, ${reach(bytes)}`,
    ),
    advice: bytes !== null && bytes < WIDE
      ? `on long ways: sysctl -w net.ipv4.${name}="${firstTwo(name)} 33554432", on the sending and the receiving side`
      : null,
  });
  const asked = (name: string, text: string | null, option: string) =>
    found(
      name,
      `net.core.${name}`,
      text === null ? null : Number(text),
      text === null ? "" : `${formatBytes(Number(text))} at the most for ${option}`,
    );
  return [
    most("tcp_rmem", receive),
    most("tcp_wmem", send),
    asked("rmem_max", rmem, "--recv-buffer"),
    asked("wmem_max", wmem, "--send-buffer"),
    found("congestion", "congestion control", congestion, congestion ?? ""),
  ];
}

/** The least and the first size that the system has now. */
function firstTwo(name: string): string {
  return kernelSetting(`net/ipv4/${name}`)?.split(/\s+/).slice(0, 2).join(" ") ?? "";
}

/** How far a buffer reaches. */
function reach(bytes: number): string {
  return `enough for 1 Gbit/s over ${Math.floor(bytes / WIDE * 50)} ms`;
}

async function checkCpu(): Promise<Check> {
  const before = machineTime();
  await new Promise((resolve) => setTimeout(resolve, CPU_TIME));
  const between = machineTime();
  const share = shareOfCpu(CPU_TIME);
  if (share === null || before === null || between === null) return found("cpu", "CPU", null, "");
  const idle = (between.idle - before.idle) / Math.max(1, between.all - before.all);
  return {
    ...found(
      "cpu",
      "CPU",
      share,
      `${navigator.hardwareConcurrency} of them, idle for ${percent(Math.min(1, idle))}; fsh gets ${
        percent(share)
      } of one`,
    ),
    advice: share < 0.7 ? "other programs take the rest: end them, nice them, or keep them off a CPU (taskset)" : null,
  };
}

async function checkDisk(folder: string, signal: AbortSignal): Promise<Check> {
  try {
    const rate = await diskRate(folder, signal);
    return found("disk", "disk", Math.round(rate), `${formatRate(rate)} written and flushed in ${folder}`);
  } catch (thrown) {
    const error = toFshError(thrown);
    if (error.error === "INTERRUPTED") throw error;
    return { ...found("disk", "disk", null, error.message), advice: "gets need a folder that can be written to" };
  }
}

/** Bytes per second that reach the disk. */
async function diskRate(folder: string, signal: AbortSignal): Promise<number> {
  await using file = await FlushedFile.create(folder);
  const noise = randomBytes(MIB);
  const begun = performance.now();
  while (performance.now() - begun < DISK_TIME && file.written < DISK_BYTES) {
    if (signal.aborted) throw new FshError("INTERRUPTED");
    await file.write(noise);
    // So that what is flushed beside can end.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await file.flush();
  return 1000 * file.written / (performance.now() - begun);
}

async function checkLoopback(): Promise<Check> {
  try {
    const rate = await loopbackRate();
    return found("loopback", "loopback", Math.round(rate), `${formatRate(rate)} from this program to itself`);
  } catch (error) {
    const advice = "connections within this machine do not work: look at the interface lo and the firewall";
    return { ...found("loopback", "loopback", null, String(error)), advice };
  }
}

/** TCP alone, both ends in this thread. */
async function loopbackRate(): Promise<number> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  using near = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  using far = await accepting;
  const [from, to] = [new Uint8Array(MIB), new Uint8Array(MIB)];
  const begun = performance.now();
  const sending = (async () => {
    while (performance.now() - begun < LOOPBACK_TIME) await near.write(from);
    await near.closeWrite();
  })();
  let moved = 0;
  for (let read; (read = await far.read(to)) !== null;) moved += read;
  await sending;
  return 1000 * moved / (performance.now() - begun);
}

function found(name: string, title: string, value: string | number | null, text: string): Check {
  return { name, title, value, text: value === null && text === "" ? "not known here" : text, advice: null };
}
