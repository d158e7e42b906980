import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import type { Page, Stored } from "../../lib/storage/storage.ts";
import { entryBytes } from "../../lib/wire/field.ts";
import { RunningServer } from "../support/running_server.ts";

const MANY = 100_000;
const PAGE = 500;

/** A folder of 100,000 files that exist only as they are asked for. */
class HugeStorage extends MemoryStorage {
  pulled = 0;

  override async *list(): AsyncIterable<Page> {
    for (let at = 0; at < MANY; at += PAGE) {
      await undefined;
      this.pulled += PAGE;
      yield { entries: Array.from({ length: PAGE }, (_, i) => file(at + i)), skipped: 0 };
    }
  }
}

function file(number: number): Stored {
  return { name: `file number ${number}.txt`, type: "file", size: number, modified: 1_700_000_000_000, mode: 0o644 };
}

for (const recursive of [false, true]) {
  Deno.test(`100,000 entries arrive, each once${recursive ? ", recursively" : ""}, in bounded pages`, async () => {
    await using running = await RunningServer.start({ storage: new HugeStorage() });
    const client = await running.client();
    const seen = new Set<string>();
    const listing = client.list("/", { recursive });
    for (;;) {
      const page = await listing.next();
      if (page.done) {
        assertEquals(page.value, { count: MANY, skipped: 0 });
        break;
      }
      assertLessOrEqual(page.value.reduce((sum, entry) => sum + entryBytes(entry), 0), 32 * 1024);
      for (const entry of page.value) {
        assertEquals<unknown>(entry, file(entry.size));
        seen.add(entry.name);
      }
    }
    assertEquals(seen.size, MANY);
  });
}

Deno.test("a client that does not read on keeps the server from listing on", async () => {
  const storage = new HugeStorage();
  await using running = await RunningServer.start({ storage });
  const window = 256 * 1024;
  const client = await running.client({ limits: { heartbeat: 0, window } });
  const listing = client.list("/");
  const first = await listing.next();
  assert(!first.done);
  let before = -1;
  while (before !== storage.pulled) {
    before = storage.pulled;
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  // A window, a grant of what was taken, and the page that the server has in hand.
  assertLessOrEqual(storage.pulled * entryBytes(file(0)), 2 * window + PAGE * entryBytes(file(0)));
  let count = first.value.length;
  for await (const page of listing) count += page.length;
  assertEquals([count, storage.pulled], [MANY, MANY]);
});
