// Who must not reach a running server's control socket, and what it must bear.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { eventually, FSH, fsh, type Outcome, scratch, ServerProcess } from "../support/program.ts";

const asRoot = { ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 };
const NOBODY = 65534;

/** A server with its socket in a folder that everybody may enter. */
async function scene(args: readonly string[] = []) {
  const folder = await scratch();
  await Deno.chmod(folder.path, 0o755);
  const socket = join(folder.path, "control");
  const server = await ServerProcess.start({ args: ["--control", socket, ...args] });
  return {
    server,
    socket,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Runs fsh as another user. */
async function asNobody(...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command("setpriv", {
    args: [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", FSH, ...args],
    env: { HOME: "/nonexistent", FSH_LOG: "" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test(
  { name: "another user can't: by the socket's mode, and even where that is opened to all", ...asRoot },
  async () => {
    await using stage = await scene();
    const { socket, server } = stage;
    assertEquals((Deno.lstatSync(socket).mode ?? 0) & 0o777, 0o600);
    const closed = await asNobody("sessions", "--control", socket);
    assertEquals(closed.code, 4, closed.err);
    assertStringIncludes(closed.err, `${socket}: permission denied`);
    await Deno.chmod(socket, 0o777);
    for (const request of [["sessions"], ["kick", "1"], ["drain", "--wait"]]) {
      const refused = await asNobody(...request, "--control", socket);
      assertEquals([refused.code, refused.out], [4, ""], refused.err);
      assertStringIncludes(refused.err, "permission denied (the server is another user's)");
    }
    assertMatch(await server.logged(/control refused .*/), new RegExp(`uid=${NOBODY} pid=\\d+`));
    assertEquals((await fsh(["sessions", "--control", socket])).code, 0);
  },
);

Deno.test(
  { name: "with --user the socket is root's, who still reaches the server, and the user does not", ...asRoot },
  async () => {
    const served = await scratch();
    await Deno.chown(served.path, NOBODY, NOBODY);
    await using folder = await scratch();
    await Deno.chmod(folder.path, 0o755);
    const socket = join(folder.path, "control");
    const args = ["--user", `${NOBODY}:${NOBODY}`, "--control", socket];
    await using server = await ServerProcess.start({ folder: served.path, args });
    const seen = await fsh(["sockets", "--control", socket]);
    assertEquals(seen.code, 0, seen.err);
    assertStringIncludes(seen.out, `127.0.0.1:${server.port}`);
    assertEquals((await asNobody("drain", "--control", socket)).code, 4);
    assertEquals((await fsh(["drain", "--wait", "--control", socket])).code, 0);
    assertEquals((await server.child.status).code, 0);
    // Who the server was when it ended may not remove root's socket; the next one replaces it.
    await using next = await ServerProcess.start({ args: ["--control", socket] });
    assertEquals((await fsh(["sessions", "--control", socket])).code, 0);
    assertEquals(await next.stop(), 0);
    assertEquals([...Deno.readDirSync(folder.path)].length, 0);
  },
);

/** Says something on the socket, all at once, and answers the lines that come back until it is closed. */
async function say(
  socket: string,
  words: Uint8Array | string,
  { end = true } = {},
): Promise<Record<string, unknown>[]> {
  using connection = await Deno.connect({ transport: "unix", path: socket });
  const bytes = typeof words === "string" ? new TextEncoder().encode(words) : words;
  const written = (async () => {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    if (end) await connection.closeWrite();
  })().catch(() => {});
  let text = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  try {
    for (let read; (read = await connection.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, read), { stream: true });
    }
  } catch {
    // Closed while it was still being talked to.
  }
  await written;
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

const errorOf = (lines: readonly Record<string, unknown>[]) => (lines.at(-1)?.error as { name?: string })?.name;

Deno.test(
  { name: "whatever is said on the socket, the answer is an error by name and the server goes on", ...asRoot },
  async () => {
    await using stage = await scene();
    const { socket, server } = stage;
    const words: readonly (string | Uint8Array)[] = [
      "\n",
      "hello\n",
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "null\n",
      "[]\n",
      "1\n",
      "{}\n",
      '{"request":1}\n',
      '{"request":"__proto__"}\n',
      '{"request":"toString"}\n',
      '{"request":"sessions","__proto__":{"a":1}}\n',
      '{"request":"sessions","more":1}\n',
      '{"request":"kick"}\n',
      '{"request":"kick","session":1}\n',
      '{"request":"kick","session":""}\n',
      '{"request":"drain","wait":"yes"}\n',
      '{"request":"sessions"',
      "[".repeat(4000) + "\n",
      "x".repeat(5000),
      "x".repeat(3_000_000) + "\n",
      new Uint8Array([0xff, 0xfe, 0x0a]),
      new Uint8Array(4096),
    ];
    for (const word of words) assertEquals(errorOf(await say(socket, word)), "BAD_REQUEST", String(word).slice(0, 60));
    assertEquals(await say(socket, ""), []);
    const unknown = '{"request":"kick","session":"\\u001b[31m' + "9".repeat(3000) + '"}\n';
    assertEquals(errorOf(await say(socket, unknown)), "NOT_FOUND");
    const many = '{"request":"sessions"}\n'.repeat(300) + "nonsense\n" + '{"request":"about"}\n';
    const answers = await say(socket, many);
    assertEquals(answers.filter(({ done }) => done).length, 301);
    assertEquals(answers.filter(({ error }) => error).length, 1);
    assert(!server.log.includes("\x1b"));
    assertEquals((await fsh(["ls", server.url])).code, 0);
    assertEquals(server.log.split("\n").filter((line) => / error /.test(line)), []);
  },
);

Deno.test(
  { name: "many at once: some are told so; who says nothing or reads nothing holds up nobody", ...asRoot },
  async () => {
    await using stage = await scene();
    const { socket, server } = stage;
    const before = server.descriptors();
    const silent = await Promise.all(
      Array.from({ length: 16 }, () => Deno.connect({ transport: "unix", path: socket })),
    );
    await eventually("one too many to be told so", 10_000, async () => {
      const lines = await say(socket, '{"request":"about"}\n');
      return errorOf(lines) === "TOO_MANY_SESSIONS";
    });
    for (const connection of silent) connection.close();
    await eventually("room", 10_000, async () => (await fsh(["sessions", "--control", socket])).code === 0);
    // Asks again and again and takes no answer.
    const deaf = await Deno.connect({ transport: "unix", path: socket });
    const questions = new TextEncoder().encode('{"request":"sockets"}\n'.repeat(2000));
    void (async () => {
      for (let at = 0; at < questions.length;) at += await deaf.write(questions.subarray(at));
    })().catch(() => {});
    assertEquals((await fsh(["sessions", "--control", socket])).code, 0);
    assertEquals((await fsh(["ls", server.url])).code, 0);
    deaf.close();
    await eventually("all to be let go", 20_000, () => server.descriptors() <= before + 1);
    assertEquals(await server.stop(), 0);
  },
);
