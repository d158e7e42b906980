import { assert, assertEquals } from "@std/assert";
import { makeEvent } from "../../../lib/hooks/host.ts";
import { type Call, packCall, type PackedCall, unpackCall } from "../../../lib/hooks/sandbox_calls.ts";
import { asked, logged, session } from "../../support/plugins.ts";

const ONE = { ...session("one"), certificate: { name: "c", fingerprint: "SHA256:x" } };
const USER = { name: "ann", attributes: { group: "a" } };

const event = (path: string) => ({ ...makeEvent("authorize", { ...asked(path, ONE), user: USER }), time: "now" });
const call = (events: Call["events"]): Call => ({ type: "call", id: 7, hook: "authorize", events });

/** As it arrives. */
function travelled(packed: PackedCall): Call {
  return unpackCall(JSON.parse(JSON.stringify(packed)));
}

Deno.test("a call comes out as it went in, whatever its events have in common", () => {
  const calls = [
    [],
    [event("/a")],
    [event("/a"), event("/b"), { ...event("/c"), time: "later" }, event("/d")],
    [event("/a"), { ...event("/b"), user: { name: "bob" } }, { ...event("/c"), command: "put" }, event("/d")],
    [event("/a"), makeEvent("authorize", asked("/b", session("two"))), event("/c")],
  ].map(call);
  for (const one of calls) assertEquals(travelled(packCall(one)), JSON.parse(JSON.stringify(one)));
  assertEquals(calls.map((one) => packCall(one).groups.length), [0, 1, 3, 4, 3]);
  const told: Call = { type: "call", id: 8, hook: "log", events: [makeEvent("log", logged("x"))] };
  assertEquals(travelled(packCall(told)), JSON.parse(JSON.stringify(told)));
});

Deno.test("each event is a copy of its own", () => {
  const { events: [one, other] } = travelled(packCall(call([event("/a"), event("/b")])));
  assert(one && other && one.session !== other.session && one.user !== other.user);
  assert(one.session.certificate !== other.session.certificate);
  assert(one.user?.attributes !== other.user?.attributes);
});
