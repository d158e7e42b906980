import { assertEquals } from "@std/assert";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { Collector, sourceOf } from "../support/sources.ts";
import { loadText, namesIn, store } from "../support/stored_files.ts";

Deno.test("a read-only server refuses every change by name and serves all the rest", async () => {
  await using running = await RunningServer.start({ readOnly: true });
  await store(running.storage, "/a", "content");
  const client = await running.client();
  for (
    const call of [
      () => client.put("/b", sourceOf(new Uint8Array(10)), { size: 10 }),
      () => client.put("/x/y", sourceOf(new Uint8Array(10)), { size: 10, parents: true }),
      () => client.mkdir("/b"),
      () => client.mkdir("/b/c", { parents: true }),
      () => client.move("/a", "/b"),
      () => client.remove("/a"),
      () => client.remove("/a", { recursive: true }),
    ]
  ) await assertFails(call, "READ_ONLY");
  assertEquals(await namesIn(running.storage), ["a"]);
  assertEquals(await loadText(running.storage, "/a"), "content");
  const got = new Collector();
  await client.get("/a", { open: () => got.sink });
  assertEquals([got.bytes.length, (await client.stat("/a")).size, (await client.hash("/a")).size], [7, 7, 7]);
});

Deno.test("what a server can do is announced in its HELLO", async () => {
  for (const [readOnly, capabilities] of [[true, []], [false, ["write"]]] as const) {
    await using running = await RunningServer.start({ readOnly });
    const client = await running.client();
    assertEquals(client.session.terms?.capabilities.includes("write"), capabilities.length > 0);
  }
});

Deno.test("a user's name goes with the session, and READY names the session as the log does", async () => {
  await using running = await RunningServer.start();
  const client = await running.client({ user: "Nguyễn" });
  assertEquals(client.session.identity.user.name, "Nguyễn");
  const opened = running.records.find((record) => record.message === "session opened");
  assertEquals([opened?.fields.session, opened?.fields.user], [client.session.identity.session, "Nguyễn"]);
});
