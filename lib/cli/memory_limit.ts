import { FshError } from "../base/errors.ts";
import { MemoryBudget } from "../base/memory_budget.ts";
import { SEAT, SESSION_SHARE } from "../base/memory_shares.ts";
import { LIMITS } from "../server/limits.ts";
import type { Args, OptionRow } from "./args.ts";
import { formatBytes, parseSize } from "./values.ts";

const MIB = 1024 ** 2;

/**
 * What the program takes without any session, in bytes: the runtime, the machine code, pooled buffers, and what the garbage
 * collector has not come to yet. Measured: 65 to 75 MiB at rest; the rest is for garbage.
 */
export const RUNTIME = 160 * MIB;
/**
 * What each event loop takes beside that where there are several, in bytes: its own heap, machine code and pooled buffers.
 */
const WORKER = 40 * MIB;
/** Less than this is of no use to an event loop, in bytes. */
const LEAST_FOR_SESSIONS = 32 * MIB;
/** By default a server takes a quarter of the memory there is, and no more than this, in bytes. */
const DEFAULT_MOST = 2048 * MIB;
const DEFAULT_PART = 4;

export const MEMORY_OPTION: OptionRow = {
  name: LIMITS.memory.option,
  value: "SIZE",
  default: LIMITS.memory.default,
  help: LIMITS.memory.help,
};

/** The server's bound, and what it is made of, in bytes. */
export interface MemoryLimit {
  readonly bound: number;
  readonly runtime: number;
  /** Sessions at once that there is memory for. */
  readonly sessions: number;
  readonly budget: MemoryBudget;
}

/** For so many event loops. @throws {FshError} USAGE for too little */
export async function memoryLimit(args: Args, loops = 1): Promise<MemoryLimit> {
  const text = args.value(MEMORY_OPTION.name);
  const runtime = RUNTIME + (loops > 1 ? loops * WORKER : 0);
  const least = runtime + loops * LEAST_FOR_SESSIONS;
  const bound = text === LIMITS.memory.default
    ? Math.max(least, await defaultBound())
    : parseSize(MEMORY_OPTION.name, text);
  if (bound < least) {
    const detail = `it takes at least ${formatBytes(least)}, of which ${
      formatBytes(runtime)
    } are for the program itself`;
    throw new FshError("USAGE", { subject: `--${MEMORY_OPTION.name} ${text}`, detail });
  }
  const budget = new MemoryBudget({ bytes: bound - runtime });
  return { bound, runtime, sessions: budget.sessions, budget };
}

/** One line that says what the bound is and how it comes about. */
export function memoryText(
  { bound, runtime, sessions }: MemoryLimit,
  { maxSessions, quic }: { readonly maxSessions: number; readonly quic: number },
): string {
  const some = Math.min(sessions, maxSessions);
  return `at most ${formatBytes(bound)}: ${formatBytes(runtime)} for the program, ` +
    `${formatBytes(some * SESSION_SHARE)} for ${some} sessions of ${formatBytes(SESSION_SHARE)}, ` +
    `${formatBytes(bound - runtime - some * SESSION_SHARE)} for what they transfer, by ${
      formatBytes(SEAT)
    } each or more` + (quic > 0 ? `; and ${formatBytes(quic)} more for what the runtime keeps of QUIC` : "");
}

/** Of the machine, or of the control group that holds the process to less (cgroups(7), memory.max of version 2). */
async function defaultBound(): Promise<number> {
  const { total } = Deno.systemMemoryInfo();
  const limits = [total];
  try {
    const group = /^0::(.*)$/m.exec(await Deno.readTextFile("/proc/self/cgroup"))?.[1] ?? "";
    for (let path = group; path !== ""; path = path.slice(0, path.lastIndexOf("/"))) {
      const text = await Deno.readTextFile(`/sys/fs/cgroup${path === "/" ? "" : path}/memory.max`).catch(() => "max");
      if (/^[0-9]+\s*$/.test(text)) limits.push(Number(text));
    }
  } catch {
    // Another system, or one without control groups.
  }
  return Math.min(DEFAULT_MOST, Math.floor(Math.min(...limits) / DEFAULT_PART));
}
