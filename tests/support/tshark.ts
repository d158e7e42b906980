import { dissector } from "../../lib/trace/dissector.ts";

/** What is asked of each packet; a packet with several frames has several values of each. */
const COLUMNS = [
  "fsh.type",
  "fsh.stream",
  "fsh.length",
  "fsh.malformed",
  "_ws.malformed",
  "_ws.expert.message",
] as const;
/** Of the segments themselves; 1: a checksum that is right. */
const TCP_COLUMNS = ["tcp.analysis.flags", "ip.checksum.status", "tcp.checksum.status", "tcp.srcport"] as const;

/** A frame as tshark names it. */
export interface Dissected {
  readonly type: number;
  readonly stream: number;
  readonly length: number;
  /** Port that it came from. */
  readonly from: number;
}

export interface Capture {
  readonly frames: readonly Dissected[];
  /** What is wrong with frames. */
  readonly malformed: readonly string[];
  /** What is wrong with segments: analysis, checksums. */
  readonly tcp: readonly string[];
}

/** Whether there is a tshark, with Lua. */
export function hasTshark(): boolean {
  try {
    const { success, stdout } = new Deno.Command("tshark", { args: ["-v"], stderr: "null" }).outputSync();
    return success && /with Lua|, Lua /.test(new TextDecoder().decode(stdout).replace(/\s+/g, " "));
  } catch {
    return false;
  }
}

/** Runs tshark with a dissector, whatever else its ports may stand for, over a capture; fails where it complains. */
export async function tshark(
  file: string,
  args: readonly string[],
  script?: string,
): Promise<string> {
  const lua = await Deno.makeTempFile({ prefix: "fsh-", suffix: ".lua" });
  try {
    await Deno.writeTextFile(lua, script ?? dissector({ port: 7374, alpn: "fsh/1" }));
    const { success, stdout, stderr } = await new Deno.Command("tshark", {
      args: [
        "-X",
        `lua_script:${lua}`,
        "-o",
        "tcp.try_heuristic_first:TRUE",
        "-r",
        file,
        ...args,
      ],
      // No settings of whoever runs the tests.
      env: { HOME: "/nonexistent", XDG_CONFIG_HOME: "/nonexistent" },
    }).output();
    const complaints = new TextDecoder().decode(stderr).replace(/^Running as user.*\n/m, "");
    if (!success || complaints.trim() !== "") throw new Error(`tshark: ${complaints}`);
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(lua);
  }
}

/**
 * Every frame of a capture, as the dissector sees it. `script`: another dissector than the one of the sources. `sums`:
 * whether checksums of segments are to be right; within one machine the system does not make any.
 */
export async function dissect(
  file: string,
  { script, sums = true }: { readonly script?: string; readonly sums?: boolean } = {},
): Promise<Capture> {
  const names = [...COLUMNS, ...TCP_COLUMNS];
  const checks = ["tcp", "ip"].flatMap((layer) => ["-o", `${layer}.check_checksum:${sums}`]);
  const columns = names.flatMap((name) => ["-e", name]);
  const text = await tshark(file, [...checks, "-T", "fields", "-E", "aggregator=;", ...columns], script);
  const found = { frames: [] as Dissected[], malformed: [] as string[], tcp: [] as string[] };
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const row = line.split("\t").map((cell) => cell === "" ? [] : cell.split(";"));
    const [types = [], streams = [], lengths = [], ...rest] = row;
    const [malformed = [], ws = [], expert = [], analysis = [], ip = [], tcp = [], [from] = []] = rest;
    types.forEach((type, i) =>
      found.frames.push({
        type: Number(type),
        stream: Number(streams[i]),
        length: Number(lengths[i]),
        from: Number(from),
      })
    );
    found.malformed.push(...malformed, ...ws, ...expert.filter((message) => /lua|bug/i.test(message)));
    found.tcp.push(...analysis, ...[...ip, ...tcp].filter((status) => status !== "1" && status !== "Good"));
  }
  return found;
}
