import { assert, assertEquals } from "@std/assert";
import { Arena } from "../../../lib/base/arena.ts";
import { ManualClock } from "../../../lib/base/clock.ts";
import { safePath } from "../../../lib/base/virtual_path.ts";
import { CountedStorage, FILE_PATIENCE, FileSlots } from "../../../lib/server/open_files.ts";
import { MemoryStorage } from "../../../lib/storage/memory.ts";
import { assertFails } from "../../support/named_errors.ts";
import { bytesOf, store } from "../../support/stored_files.ts";

const FILE = safePath("/file");
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("whoever finds all slots taken waits in line, and is refused by name when that takes too long", async () => {
  const clock = new ManualClock();
  const all = new FileSlots(1, clock);
  const slots = all.join();
  const give = await slots.take("/a");
  const order: string[] = [];
  const second = slots.take("/b").then((give) => (order.push("second"), give));
  const third = slots.take("/c").then((give) => (order.push("third"), give));
  give();
  give();
  (await second)();
  const last = await third;
  assertEquals([order, slots.held], [["second", "third"], 1]);
  const late = assertFails(() => slots.take("/d"), "TOO_MANY_FILES");
  await settle();
  clock.advance(FILE_PATIENCE);
  assertEquals((await late).subject, "/d");
  last();
  assertEquals([slots.held, clock.pending], [0, 0]);
});

Deno.test("few requests of a session wait, the others are refused at once; another session waits beside them", async () => {
  const clock = new ManualClock();
  const all = new FileSlots(2, clock);
  const [greedy, other] = [all.join(), all.join()];
  await greedy.take("/held");
  const give = await greedy.take("/held, too");
  const waiting = Array.from({ length: 40 }, (_, i) => greedy.take(`/${i}`).then(() => true, () => false));
  await settle();
  assertEquals(clock.pending, 32);
  await assertFails(() => greedy.take("/more"), "TOO_MANY_FILES");
  const fair = other.take("/other");
  give();
  (await fair)();
  clock.advance(FILE_PATIENCE);
  assertEquals((await Promise.all(waiting)).filter(Boolean).length, 1);
  assertEquals([all.held, greedy.waiting, clock.pending], [2, 0, 0]);
});

Deno.test("where very many wait, few of each session do, and those that come are still among them", async () => {
  const clock = new ManualClock();
  const all = new FileSlots(8, clock);
  for (let i = 0; i < 8; i++) await all.join().take("/held");
  const refused: Promise<unknown>[] = [];
  const crowd = Array.from({ length: 250 }, () => all.join());
  for (const session of crowd) for (let i = 0; i < 40; i++) refused.push(session.take("/more").catch(() => {}));
  await settle();
  assertEquals([crowd[0]?.waiting, crowd.at(-1)?.waiting], [32, 4]);
  assert(clock.pending < 2000, `${clock.pending} wait`);
  clock.advance(FILE_PATIENCE);
  await Promise.all(refused);
  assertEquals(clock.pending, 0);
});

Deno.test("a file holds its slot from its opening to its end, whatever that is", async () => {
  const slots = new FileSlots(10);
  const storage = new CountedStorage(new MemoryStorage(), slots.join());
  await store(storage, "/file", "content");
  assertEquals(slots.held, 0);
  const reader = await storage.strict().openRead(FILE);
  const writer = await storage.openWrite(FILE);
  assertEquals(slots.held, 2);
  reader.close();
  await writer.abort();
  await writer.abort();
  assertEquals(slots.held, 0);
  await assertFails(() => storage.openRead(safePath("/missing")), "NOT_FOUND");
  await assertFails(() => storage.openWrite(safePath("/no/such")), "NOT_FOUND");
  // A commit that fails leaves the abort to come.
  const late = await storage.openWrite(safePath("/new"), { noReplace: true });
  await store(storage, "/new", "faster");
  await assertFails(() => late.commit(), "EXISTS");
  await late.abort();
  using room = new Arena();
  for await (const _ of storage.readSmall([FILE, FILE], 100, room)) {
    assertEquals(slots.held, 1);
    break;
  }
  await storage.writeSmall([{ path: FILE, content: bytesOf("x") }]);
  assertEquals(slots.held, 0);
});

Deno.test("the last slots are for sessions without any, and the next one for who has the fewest", async () => {
  const clock = new ManualClock();
  const all = new FileSlots(16, clock);
  const [greedy, modest] = [all.join(), all.join()];
  const gives: (() => void)[] = [];
  for (let i = 0; i < 14; i++) gives.push(await greedy.take("/greedy"));
  const order: string[] = [];
  const more = greedy.take("/greedy").then(() => order.push("greedy"));
  gives.push(await modest.take("/modest"), await all.join().take("/third"));
  const second = modest.take("/modest").then(() => order.push("modest"));
  const fourth = all.join().take("/fourth").then(() => order.push("fourth"));
  for (const give of gives) give();
  await Promise.all([more, second, fourth]);
  assertEquals(order, ["fourth", "modest", "greedy"]);
  assertEquals(all.held, 3);
});

Deno.test("without a limit a session may have as many as it likes", async () => {
  const session = new FileSlots(Infinity).join();
  for (let i = 0; i < 100; i++) await session.take("/file");
  assertEquals(session.held, 100);
});
