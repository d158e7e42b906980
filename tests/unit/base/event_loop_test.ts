import { assertLessOrEqual } from "@std/assert";
import { EventLoop } from "../../../lib/base/event_loop.ts";

/** What a byte needs there and back, in milliseconds, said by another process. */
const ASK = `
  const connection = await Deno.connect({ port: Number(Deno.args[0]) });
  const begun = performance.now();
  for (let i = 0; i < 20; i++) {
    await connection.write(Uint8Array.of(i));
    await connection.read(new Uint8Array(1));
  }
  console.log((performance.now() - begun) / 20);
`;

async function answer(listener: Deno.Listener): Promise<void> {
  using connection = await listener.accept();
  const buffer = new Uint8Array(1);
  while (await connection.read(buffer) !== null) await connection.write(buffer);
}

Deno.test("sockets are heard while work goes on piece by piece", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answering = answer(listener);
  const asker = new Deno.Command(Deno.execPath(), { args: ["eval", ASK, String(listener.addr.port)] }).output();
  const loop = new EventLoop();
  let isOver = false;
  asker.then(() => (isOver = true));
  while (!isOver) {
    for (const end = performance.now() + 3; performance.now() < end;);
    await new Promise<void>((resolve) => loop.after(resolve));
  }
  // With setImmediate it is 180 ms.
  assertLessOrEqual(Number(new TextDecoder().decode((await asker).stdout)), 60);
  await answering;
});

Deno.test("an event loop that is closed leaves no timer behind, and who waits goes on", async () => {
  const loop = new EventLoop();
  const waiting = Array.from({ length: 2 }, () => new Promise<void>((resolve) => loop.after(resolve)));
  loop.close();
  await Promise.all(waiting);
  await new Promise<void>((resolve) => loop.after(resolve));
});
