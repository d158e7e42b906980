import { assertEquals } from "@std/assert";
import { ManualClock } from "../../lib/base/clock.ts";
import { MemoryBudget } from "../../lib/base/memory_budget.ts";
import { Log, type LogRecord } from "../../lib/base/log.ts";
import { ClassicNames, MOST_CLASSIC_NAMES } from "../../lib/server/classic_names.ts";
import { Server } from "../../lib/server/server.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import { ROOT } from "../../lib/base/virtual_path.ts";
import { MemoryTransport } from "../../lib/transport/memory.ts";
import { type Connection, writeAll } from "../../lib/transport/transport.ts";
import { nameField, PING, sizeField } from "../support/classic_peer.ts";
import { assertThrowsError } from "../support/named_errors.ts";
import { IN_MEMORY } from "../support/running_server.ts";

/** Lets everything happen that is due. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("a put that trickles ends after a minute, one that is quicker goes on", async () => {
  const clock = new ManualClock();
  const transport = new MemoryTransport();
  const storage = new MemoryStorage();
  const records: LogRecord[] = [];
  const classic = await transport.listen({ hostname: "memory", port: 0 });
  const server = await Server.start({
    transport,
    classic,
    storage,
    ...IN_MEMORY,
    log: new Log("info", (record) => records.push(record)),
    clock,
    handshakeTimeout: 0,
    bounds: { minRate: 10 },
  });
  const open = () => transport.connect({ hostname: "memory", port: classic.port, timeout: 1000 });
  const peers: { connection: Connection; step: number }[] = [];
  for (const [name, step] of [["slow", 10], ["quick", 100]] as const) {
    const connection = await open();
    await writeAll(connection, Uint8Array.of(3));
    await writeAll(connection, nameField(name));
    await writeAll(connection, sizeField(100_000));
    peers.push({ connection, step });
  }
  for (let seconds = 0; seconds < 75; seconds += 5) {
    for (const { connection, step } of peers) await writeAll(connection, new Uint8Array(step)).catch(() => {});
    await settle();
    clock.advance(5000);
    await settle();
  }
  const ended = records.filter(({ message }) => message === "session ended").map(({ fields }) => fields.error);
  assertEquals(ended, ["TOO_SLOW"]);
  const [, quick] = peers;
  if (!quick) throw new Error("both were opened");
  await writeAll(quick.connection, new Uint8Array(100_000 - 15 * quick.step));
  await writeAll(quick.connection, PING);
  const answer = new Uint8Array(8);
  assertEquals([await quick.connection.read(answer), answer[0]], [1, 4]);
  const names: string[] = [];
  for await (const { entries } of storage.list(ROOT)) names.push(...entries.map(({ name }) => name));
  assertEquals(names, ["quick"]);
  for (const { connection } of peers) connection.close();
  await server.close({ limit: 1 });
});

Deno.test("names are collected in memory that is paid for, bounded in number, and all of it is given back", async () => {
  const budget = new MemoryBudget({ bytes: 64 * 1024 * 1024 });
  const account = budget.open();
  if (!account) throw new Error("there is room for one");
  const used = budget.used;
  {
    using names = new ClassicNames(account);
    for (let i = 0; i < MOST_CLASSIC_NAMES; i++) names.add(String(i));
    assertThrowsError(() => names.add("one too many"), "LISTING_TOO_LARGE");
    let bytes = 0;
    let last = "";
    await names.send((piece) => {
      bytes += piece.length;
      last = new TextDecoder().decode(piece.subarray(-256)).replace(/\0+$/, "");
      return Promise.resolve();
    });
    assertEquals([bytes, last], [4 + 256 * MOST_CLASSIC_NAMES, String(MOST_CLASSIC_NAMES - 1)]);
  }
  assertEquals(budget.used, used);
  const small = new MemoryBudget({ bytes: 1024 * 1024 }).open();
  if (!small) throw new Error("there is room for one");
  using many = new ClassicNames(small);
  assertThrowsError(() => {
    for (let i = 0; i < MOST_CLASSIC_NAMES; i++) many.add("x".repeat(200));
  }, "NO_MEMORY");
});
