import { assertEquals, assertLessOrEqual, assertMatch } from "@std/assert";
import { fill } from "../support/folders.ts";
import { eventually, fsh, names, scratch, ServerProcess } from "../support/program.ts";
import { shipped } from "../support/shipped.ts";
import { isSigned, SECRET, WebhookReceiver } from "../support/webhook_receiver.ts";

Deno.test("webhook: signed, tried again after 500 and after a refused connection, and no transfer waits for one that hangs", async () => {
  await using folder = await scratch();
  await fill(folder.path, { secret: SECRET + "\n", "a.txt": "a" });
  await Deno.chmod(`${folder.path}/secret`, 0o600);
  const receiver = new WebhookReceiver();
  const { port } = receiver;
  await using server = await ServerProcess.start({
    args: shipped({ webhook: { url: receiver.url, "secret-file": `${folder.path}/secret`, backoff: "0.2" } }),
  });
  receiver.answer = (attempt) => new Response(null, { status: attempt < 3 ? 500 : 204 });
  assertEquals((await fsh(["put", `${folder.path}/a.txt`, server.url])).code, 0);
  assertEquals((await fsh(["get", `${server.url}none`, "-"])).code, 5);
  await eventually("both messages", 8000, () => receiver.taken.length === 2);
  assertEquals(receiver.asked.length, 6, "three attempts each");
  assertEquals(new Set(receiver.asked).size, 2);
  for (const { body, signature } of receiver.taken) {
    assertEquals(await isSigned(body, signature), true, signature);
    assertEquals(await isSigned(body + " ", signature), false);
    assertEquals(await isSigned(body, signature, "another secret, quite long"), false);
  }
  const events = receiver.taken.map(({ body }) => JSON.parse(body)).sort((a, b) => a.event < b.event ? -1 : 1);
  const [committed, failed] = events;
  assertEquals([committed.event, committed.command, committed.path, committed.bytes], [
    "committed",
    "put",
    "/a.txt",
    1,
  ]);
  assertMatch(committed.digest, /^crc32:/);
  assertEquals([failed.event, failed.path, failed.error.name], ["failed", "/none", "NOT_FOUND"]);

  await receiver[Symbol.asyncDispose]();
  assertEquals((await fsh(["put", `${folder.path}/a.txt`, `${server.url}b.txt`])).code, 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await using again = new WebhookReceiver(port);
  await eventually("the message after refused connections", 8000, () => again.taken.length === 1);
  assertEquals(JSON.parse(again.taken[0]?.body ?? "").path, "/b.txt");

  const hanging = Promise.withResolvers<void>();
  again.answer = () => hanging.promise.then(() => new Response(null, { status: 204 }));
  const begun = performance.now();
  await fill(`${folder.path}/tree`, Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}`, "x"])));
  const tree = await fsh(["put", "-r", `${folder.path}/tree`, server.url]);
  assertEquals(tree.code, 0, tree.err);
  assertLessOrEqual(performance.now() - begun, 5000);
  assertEquals(names(`${server.folder}/tree`).length, 300);
  hanging.resolve();
  const paths = () => new Set(again.taken.map(({ body }) => JSON.parse(body).path));
  await eventually("all 300", 8000, () => [...paths()].filter((path) => /^\/tree\/\d+$/.test(path)).length === 300);
  const all = again.taken.map(({ body }) => JSON.parse(body));
  assertEquals(all.filter(({ event }) => event === "failed"), [], "that a stat finds nothing is no failure");
  assertEquals(await server.stop(), 0);
});
