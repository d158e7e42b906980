import { assert, assertEquals } from "@std/assert";
import { FshError } from "../../../lib/base/errors.ts";
import { type Answerers, MessageLink } from "../../../lib/base/message_link.ts";
import { assertFails } from "../../support/named_errors.ts";

interface Calls {
  echo(value: unknown): unknown;
  fail(why: string): never;
  late(ms: number): Promise<string>;
  same(pair: { readonly a: object; readonly b: object }): boolean;
}

const SILENT = {
  echo: () => undefined,
  fail: (why: string): never => {
    throw new Error(why);
  },
  late: () => Promise.resolve(""),
  same: () => false,
};

/** Two ends of a line, of which the far one answers to `calls`. */
function line(calls: Answerers<Calls> & Calls): { near: MessageLink<Calls, Calls> } & Disposable {
  const { port1, port2 } = new MessageChannel();
  const near = new MessageLink<Calls, Calls>(port1, SILENT);
  new MessageLink<Calls, Calls>(port2, calls);
  port1.start();
  port2.start();
  return { near, [Symbol.dispose]: () => (port1.close(), port2.close()) };
}

Deno.test("answers belong to their questions, whatever comes first; errors keep their names", async () => {
  using link = line({
    ...SILENT,
    echo: (value) => value,
    fail: (why) => {
      throw new FshError("TOO_MANY_SESSIONS", { detail: why });
    },
    late: (ms) => new Promise((resolve) => setTimeout(() => resolve("late"), ms)),
  });
  const { near } = link;
  const order: string[] = [];
  const answers = await Promise.all([
    near.ask("late", 30).then((answer) => (order.push("late"), answer)),
    near.ask("echo", { list: [1, new Date(5)] }).then((answer) => (order.push("echo"), answer)),
    near.ask("echo", undefined),
  ]);
  assertEquals(answers, ["late", { list: [1, new Date(5)] }, undefined]);
  assertEquals(order, ["echo", "late"]);
  const error = await assertFails(() => near.ask("fail", "at most 7"), "TOO_MANY_SESSIONS");
  assertEquals([error.message, error.remote], ["too many sessions (at most 7)", false]);
});

Deno.test("what can't be cloned fails by itself, on either side; what goes with it arrives", async () => {
  using link = line({ ...SILENT, echo: (value) => value === "odd" ? () => {} : value });
  const { near } = link;
  const [sent, answered, fine] = await Promise.allSettled([
    near.ask("echo", () => {}),
    near.ask("echo", "odd"),
    near.ask("echo", "fine"),
  ]);
  assertEquals([sent?.status, answered?.status, fine?.status], ["rejected", "rejected", "fulfilled"]);
});

Deno.test("an object in several calls of one turn is one object on the other side", async () => {
  const seen: unknown[] = [];
  using link = line({ ...SILENT, echo: (value) => void seen.push(value) });
  const session = { id: "1" };
  await Promise.all([link.near.ask("echo", session), link.near.ask("echo", session)]);
  assertEquals(seen.length, 2);
  assert(seen[0] === seen[1]);
});

Deno.test("whoever waits hears that the other side has gone, and so does whoever asks later", async () => {
  using link = line({ ...SILENT, late: () => new Promise(() => {}) });
  const waiting = link.near.ask("late", 0);
  link.near.close(new FshError("WORKER_LOST"));
  await assertFails(() => waiting, "WORKER_LOST");
  await assertFails(() => link.near.ask("echo", 1), "WORKER_LOST");
  link.near.tell("echo", 1);
});
