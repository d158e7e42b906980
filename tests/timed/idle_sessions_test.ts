import { assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import type { IdleReport } from "../support/idle_crowd.ts";
import { currentMemory, FSH, fsh, scratch, ServerProcess } from "../support/program.ts";

/** FSH_LONG=1 makes it ten thousand sessions, the default heartbeat and a minute of looking. */
const LONG = Deno.env.get("FSH_LONG") === "1";
const SESSIONS = Number(Deno.env.get("FSH_SESSIONS") ?? (LONG ? 10_000 : 1_000));
/** Milliseconds. */
const HEARTBEAT = LONG ? 30_000 : 3_000;
const WATCHED = LONG ? 60_000 : 7_000;
/**
 * What an idle session may cost: KiB of memory, milliseconds that 99 of 100 PINGs may be late, share of a core. What the
 * heap grows by once counts for more where there are few.
 */
const LIMITS = { memory: LONG ? 30 : 55, late: 1_000, core: 0.15 };

/** Starts a program with room for so many connections; `sh` has `ulimit` everywhere. */
function manyFiles(program: string, ...args: string[]): string[] {
  return ["sh", "-c", `ulimit -n ${SESSIONS + 1000}; exec "$0" "$@"`, program, ...args];
}

Deno.test(`${SESSIONS} idle sessions cost little memory and time, and their heartbeats are punctual`, async () => {
  await using folder = await scratch();
  const tokens = join(folder.path, "tokens.json");
  const added = await fsh(["token", "add", tokens, "crowd"]);
  assertEquals(added.code, 0, added.err);
  await using server = await ServerProcess.start({
    args: [
      "--plugin",
      "auth-token",
      "--plugin-option",
      `auth-token.file=${tokens}`,
      "--heartbeat",
      `${HEARTBEAT}ms`,
      "--handshake-timeout",
      "60s",
      "--max-sessions",
      String(SESSIONS + 100),
      "--max-per-user",
      "off",
    ],
    env: { FSH_LOG: "warn" },
    command: manyFiles(FSH),
  });
  // What the first session costs is no session's own.
  await (await Crowd.start(server.port, { sessions: 20, token: added.out.trim() })).leave();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const before = currentMemory(server.pid);
  const crowd = await Crowd.start(server.port, { sessions: SESSIONS, token: added.out.trim() });
  // The PINGs of the start are over, and the memory of the handshakes is free again.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  await crowd.report();
  const busy = processorTime(server.pid);
  const begun = performance.now();
  await new Promise((resolve) => setTimeout(resolve, WATCHED));
  const { sessions, pings, late, latest } = await crowd.report();
  const core = (processorTime(server.pid) - busy) / (performance.now() - begun);
  const each = (currentMemory(server.pid) - before) * 1024 / SESSIONS;
  console.log(
    `${sessions} sessions: ${each.toFixed(1)} KiB each, ${pings} PINGs, p99 ${late.toFixed(0)} ms late, the latest ` +
      `${latest.toFixed(0)} ms; ${(core * 100).toFixed(1)} % of a core`,
  );
  await crowd.leave();
  assertEquals(sessions, SESSIONS);
  assertGreaterOrEqual(pings, SESSIONS);
  assertLessOrEqual(each, LIMITS.memory);
  assertLessOrEqual(late, LIMITS.late);
  assertLessOrEqual(core, LIMITS.core);
  // The crowd leaves without a word.
  const lines = server.log.split("\n").filter((line) => line !== "" && !/CONNECTION_(LOST|RESET)/.test(line));
  assertEquals(lines, []);
});

/** Milliseconds of a processor that a process has had (proc_pid_stat(5): fields 14 and 15, in hundredths of a second). */
function processorTime(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** A process of idle clients: see idle_crowd.ts. */
class Crowd {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #in: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #rest = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#in = child.stdin.getWriter();
  }

  static async start(port: number, options: { sessions: number; token: string }): Promise<Crowd> {
    const script = join(dirname(dirname(fromFileUrl(import.meta.url))), "support/idle_crowd.ts");
    const { sessions, token } = options;
    const [program = "", ...args] = manyFiles(Deno.execPath(), "run", "--quiet", "--allow-all", script);
    const child = new Deno.Command(program, {
      args: [...args, String(port), String(sessions), token, String(HEARTBEAT)],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const crowd = new Crowd(child);
    assertEquals(await crowd.#line(), "ready");
    return crowd;
  }

  async report(): Promise<IdleReport> {
    await this.#in.write(new TextEncoder().encode("\n"));
    return JSON.parse(await this.#line());
  }

  /** Closes all its connections. */
  async leave(): Promise<void> {
    await this.#in.close();
    await this.#child.status;
    await this.#lines.cancel();
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("the crowd has gone");
      this.#rest += value;
    }
  }
}
