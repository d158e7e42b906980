import { assert } from "@std/assert";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { Priority } from "../../lib/session/command.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import { RunningServer } from "../support/running_server.ts";

const SIZE = 24 * 1024 * 1024;

/** What has arrived of two gets of one session when the first of them ends, as shares of their size. */
async function race(one: Priority, other: Priority): Promise<[number, number]> {
  const storage = new MemoryStorage();
  const writer = await storage.openWrite(safePath("/a"));
  await writer.write(new Uint8Array(SIZE));
  await writer.commit();
  // As slow as a link, so that both always have something to send.
  await using running = await RunningServer.start({ storage, limits: LIMITS });
  const client = await running.client({ limits: LIMITS });
  const got = [0, 0];
  const controller = new AbortController();
  const get = (index: 0 | 1, priority: Priority) =>
    client.get("/a", {
      priority,
      signal: controller.signal,
      open: () => (chunk) => {
        got[index] = (got[index] ?? 0) + chunk.length;
      },
    });
  const both = [get(0, one), get(1, other)];
  await Promise.race(both);
  const shares: [number, number] = [(got[0] ?? 0) / SIZE, (got[1] ?? 0) / SIZE];
  controller.abort();
  await Promise.allSettled(both);
  return shares;
}

const LIMITS = { window: 4 * 1024 * 1024, maxStreams: 8, heartbeat: 0, misses: 3 };

Deno.test("streams of the same priority share evenly", async () => {
  const [one, other] = await race("normal", "normal");
  assert(one > 0.8 && other > 0.8, `${one} and ${other}`);
});

Deno.test("a high priority gets several times as much as a normal one, and that as a low one", async () => {
  for (const [better, worse] of [["high", "normal"], ["normal", "low"]] as const) {
    const [one, other] = await race(better, worse);
    assert(one === 1 && other < 0.5 && other > 0.1, `${better} ${one}, ${worse} ${other}`);
    const [first, second] = await race(worse, better);
    assert(second === 1 && first < 0.5, `${worse} ${first}, ${better} ${second}`);
  }
});

Deno.test("a low priority alone has all", async () => {
  const [one, other] = await race("low", "low");
  assert(one > 0.8 && other > 0.8, `${one} and ${other}`);
});
