import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Client } from "../../lib/client/client.ts";
import { MemoryTransport } from "../../lib/transport/memory.ts";
import { writeAll } from "../../lib/transport/transport.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { bytesOf } from "../support/stored_files.ts";

/** What the server answers to these first bytes, up to its end. */
async function answer(running: RunningServer, first: string, options: { closing?: boolean } = {}): Promise<string> {
  const connection = await running.connection();
  await writeAll(connection, bytesOf(first));
  if (options.closing) await connection.closeWrite();
  let text = "";
  const buffer = new Uint8Array(1000);
  for (let read; (read = await connection.read(buffer)) !== null;) {
    text += new TextDecoder("latin1").decode(buffer.subarray(0, read));
  }
  connection.close();
  await running.quiet();
  return text;
}

Deno.test("an HTTP client gets an HTTP answer that says where it is", async () => {
  await using running = await RunningServer.start();
  const text = await answer(running, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  assertStringIncludes(text, "HTTP/1.1 400 Bad Request\r\n");
  assertStringIncludes(text, "FSH/1");
  assertEquals(running.logged("session ended"), ["BAD_PREFACE"]);
});

Deno.test("a client that closes its side after a word still gets the answer", async () => {
  await using running = await RunningServer.start({ memory: { chunk: 7 } });
  assertStringIncludes(await answer(running, "HEAD / HTTP/1.0\r\n\r\n", { closing: true }), "HTTP/1.1 400");
});

Deno.test("an SSH client gets a sentence", async () => {
  await using running = await RunningServer.start();
  assertStringIncludes(await answer(running, "SSH-2.0-OpenSSH_9.6\r\n"), "This is an fsh server");
});

Deno.test("a client of another version learns which one is spoken here", async () => {
  await using running = await RunningServer.start();
  const text = await answer(running, "FSH/2\r\n");
  assertEquals(text.slice(0, 7), "FSH/1\r\n");
  assertEquals(running.logged("session ended"), ["BAD_VERSION"]);
});

Deno.test("another version in HELLO is answered by BAD_VERSION", async () => {
  await using running = await RunningServer.start();
  const peer = await running.peer({ shaken: false });
  let failure = "";
  await peer.shakeHands({ version: 2 }).catch((error) => failure = String(error));
  assertStringIncludes(failure, "BAD_VERSION");
});

Deno.test("a client that goes without a word leaves nothing", async () => {
  await using running = await RunningServer.start();
  (await running.connection()).close();
  (await running.connection()).abort();
  const half = await running.connection();
  await writeAll(half, PREFACE.subarray(0, 3));
  half.close();
  await running.quiet();
  assertEquals(running.server.sessionCount, 0);
});

for (
  const [first, error, word] of [
    ["SSH-2.0-OpenSSH_9.6\r\n", "BAD_PREFACE", "SSH"],
    ["HTTP/1.1 400 Bad Request\r\n\r\n", "BAD_PREFACE", "HTTP"],
    ["FSH/9\r\n", "BAD_VERSION", "FSH/9"],
  ] as const
) {
  Deno.test(`a client that meets ${JSON.stringify(first.slice(0, 8))} says so`, async () => {
    const transport = new MemoryTransport();
    const listener = await transport.listen({ hostname: "memory", port: 0 });
    const accepted = listener.accept();
    const connecting = Client.connect({ hostname: "memory", port: listener.port }, { transport });
    const far = await accepted;
    await writeAll(far, bytesOf(first));
    const failure = await assertFails(() => connecting, error);
    assertStringIncludes(failure.message, word);
    assertStringIncludes(failure.message, `memory:${listener.port}`);
    far.close();
    listener.close();
  });
}

Deno.test("one session too many is refused by name, and there is room again later", async () => {
  await using running = await RunningServer.start({ maxSessions: 2 });
  const [first] = [await running.client(), await running.client()];
  const failure = await assertFails(() => running.client(), "TOO_MANY_SESSIONS");
  assert(failure.retryable);
  await first.close();
  for (let i = 0; i < 100 && running.server.sessionCount > 1; i++) await new Promise((r) => setTimeout(r, 1));
  assertEquals((await (await running.client()).stat("/")).type, "directory");
});
