import { assert, assertEquals } from "@std/assert";
import { makeEvent } from "../../../lib/hooks/host.ts";
import { type Call, type Calls, packCalls, unpackCalls } from "../../../lib/hooks/sandbox_calls.ts";
import type { ToSandbox } from "../../../lib/hooks/sandbox_message.ts";
import { asked, chunkFacts, session } from "../../support/plugins.ts";

const call = (id: number, ...paths: string[]): Call => ({
  type: "call",
  id,
  hook: "authorize",
  events: paths.map((path) => ({ ...makeEvent("authorize", { ...asked(path, ONE), user: USER }), time: "now" })),
});
const ONE = session("one");
const USER = { name: "ann", attributes: { group: "a" } };

/** As it arrives. */
function unpack(packed: readonly (ToSandbox | Calls)[]): ToSandbox[] {
  const told = JSON.parse(JSON.stringify(packed)) as (ToSandbox | Calls)[];
  return told.flatMap((message) => message.type === "calls" ? unpackCalls(message) : [message]);
}

Deno.test("calls come out as they went in, in their order, among other messages", () => {
  const other: Call = { ...call(4), events: [makeEvent("authorize", asked("/d", session("two")))] };
  const [event] = call(5, "/e").events;
  const later: Call = { ...call(5), events: event ? [{ ...event, time: "later" }] : [] };
  const messages: ToSandbox[] = [
    call(1, "/a"),
    call(2, "/b"),
    { type: "ping" },
    call(3, "/c"),
    other,
    later,
    call(6),
    call(7, "/f", "/g"),
    call(8, "/h"),
  ];
  const packed = packCalls(messages);
  assertEquals(packed.map(({ type }) => type), ["calls", "ping", "calls", "calls", "calls", "call", "call", "calls"]);
  assertEquals(unpack(packed), JSON.parse(JSON.stringify(messages)));
});

Deno.test("bytes are left where they are", () => {
  const content: Call = { type: "call", id: 1, hook: "content", events: [makeEvent("content", chunkFacts())] };
  assertEquals(packCalls([content]), [content]);
});

Deno.test("each event is a copy of its own", () => {
  const [first, second] = unpack(packCalls([call(1, "/a"), call(2, "/b")])) as Call[];
  const [one, other] = [first?.events[0], second?.events[0]];
  assert(one?.session !== other?.session);
  assert(one?.user?.attributes !== other?.user?.attributes);
});
