// What --trace and --pcap write, as fsh trace and tshark see it.
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Client } from "../../lib/client/client.ts";
import { FRAMES } from "../../lib/wire/frames.ts";
import { sendEveryFrame } from "../support/every_frame.ts";
import { fsh, scratch, ServerProcess } from "../support/program.ts";
import { quicEnds } from "../support/scheme.ts";
import { dissect, type Dissected, hasTshark } from "../support/tshark.ts";

const PASSWORD = "correct horse battery";

/** Frames as `fsh trace --json` prints them, in the form of tshark's. */
async function traced(file: string, port: number): Promise<Dissected[]> {
  const { code, out, err } = await fsh(["trace", "--json", file]);
  assertEquals([code, err], [0, ""]);
  const lines = out.trim().split("\n").map((line) => JSON.parse(line));
  const clients = new Map<string, number>();
  for (const { event, session, client } of lines) {
    if (event === "opened") clients.set(session, Number(client.split(":").pop()));
  }
  return lines.filter(({ event }) => event === "frame").map(({ type, stream, length, from, session, wrong }) => {
    assertEquals(wrong, undefined);
    return { type, stream, length, from: from === "server" ? port : clients.get(session) ?? 0 };
  });
}

/** What each port sent, in order: how both directions interleave depends on who looks. */
function byPort(frames: readonly Dissected[]): Record<number, string[]> {
  const found: Record<number, string[]> = {};
  for (const { type, stream, length, from } of frames) (found[from] ??= []).push(`${type} ${stream} ${length}`);
  return found;
}

/** Captures what goes to and from a port of this machine. Null: that is not allowed here. */
async function capture(port: number, file: string): Promise<{ stop: () => Promise<void> } | null> {
  // Over QUIC the system sees what is encrypted.
  if (quicEnds) return null;
  const child = new Deno.Command("dumpcap", {
    args: ["-q", "-i", "lo", "-B", "64", "-f", `tcp port ${port}`, "-w", file],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("File: ")) {
    const { value, done } = await errors.read();
    if (done) return (await child.status, null);
    said += value;
  }
  const rest = (async () => {
    while (!(await errors.read()).done) continue;
  })();
  return {
    async stop() {
      // What the system has seen reaches dumpcap a little later.
      await new Promise((resolve) => setTimeout(resolve, 500));
      child.kill("SIGINT");
      await child.status;
      await rest;
    },
  };
}

Deno.test({
  name:
    "every kind of frame: fsh trace, a capture of fsh and one of the system's show the same session, none malformed",
  ignore: !hasTshark(),
  async fn(t) {
    await using local = await scratch();
    const at = (name: string) => join(local.path, name);
    assertEquals(
      (await fsh(["passwd", at("users"), "an"], { stdin: new TextEncoder().encode(`${PASSWORD}\n`) })).code,
      0,
    );
    await using server = await ServerProcess.start({
      args: [
        ...["--plugin", "auth-users", "--plugin-option", `auth-users.file=${at("users")}`],
        ...["--trace", at("trace"), "--pcap", at("pcap"), "--trace-payload"],
      ],
    });
    const { port } = server;
    const real = await capture(port, at("real"));
    const credentials = { user: "an", password: () => Promise.resolve(PASSWORD) };
    const client = await Client.connect({ hostname: "127.0.0.1", port }, {
      credentials,
      limits: { window: 256 * 1024 },
      ...(quicEnds ? { transport: quicEnds.transport } : {}),
    });
    await sendEveryFrame(client);
    await client.close();
    await server.logged(/session ended/);
    await real?.stop();
    assertEquals(await server.stop(), 0);

    const lua = await fsh(["dissector"]);
    assertEquals(lua.code, 0);
    const trace = await traced(at("trace"), port);
    const compare = async (file: string) => {
      const { frames, malformed, tcp } = await dissect(at(file), { script: lua.out, sums: file === "pcap" });
      assertEquals(malformed, [], file);
      if (file === "pcap") assertEquals(tcp, []);
      const seen = new Set(frames.map(({ type }) => type));
      const unseen = Object.entries(FRAMES).filter(([, { code }]) => !seen.has(code)).map(([name]) => name);
      assertEquals(unseen, [], `frames that ${file} lacks`);
      assertEquals(byPort(trace), byPort(frames), file);
    };
    await t.step("a capture of fsh", () => compare("pcap"));
    await t.step({ name: "a capture of the system", ignore: real === null, fn: () => compare("real") });
  },
});
