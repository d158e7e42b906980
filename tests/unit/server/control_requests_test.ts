import { assertEquals, assertStringIncludes } from "@std/assert";
import { FshError } from "../../../lib/base/errors.ts";
import type { ControlSource, SessionFact } from "../../../lib/server/control.ts";
import { answersTo, type ControlRequest, parseControlRequest } from "../../../lib/server/control_requests.ts";
import { assertFails, assertThrowsError } from "../../support/named_errors.ts";

Deno.test("requests are what PROTOCOL.md says, and nothing more", () => {
  const same: ControlRequest[] = [
    { request: "about" },
    { request: "sessions" },
    { request: "sockets" },
    { request: "reload" },
    { request: "kick", session: "1", reason: "why" },
    { request: "drain", wait: true },
  ];
  for (const request of same) assertEquals(parseControlRequest(JSON.stringify(request)), request);
  assertEquals(parseControlRequest(' {"request":"kick","session":"1"} '), {
    request: "kick",
    session: "1",
    reason: "",
  });
  assertEquals(parseControlRequest('{"request":"drain"}'), { request: "drain", wait: false });
  const long = parseControlRequest(
    JSON.stringify({ request: "kick", session: "s".repeat(999), reason: "ü".repeat(999) }),
  );
  assertEquals(JSON.stringify(long).length < 400, true);
});

Deno.test("a refusal says what is wrong", () => {
  const wrong = (line: string, why: string) => {
    assertStringIncludes(assertThrowsError(() => parseControlRequest(line), "BAD_REQUEST").message, why);
  };
  wrong("", "one line of JSON");
  wrong("{", "one line of JSON");
  for (const line of ["null", "[]", "1", '"sessions"']) wrong(line, "a JSON object");
  wrong("{}", "request is one of about, sessions, sockets, reload, kick, drain");
  wrong('{"request":"constructor"}', "request is one of");
  wrong('{"request":"sessions","wait":true}', "sessions has no wait");
  wrong('{"request":"drain","wait":1}', "wait is a boolean");
  wrong('{"request":"kick"}', "kick needs a session");
});

function sourceWith(parts: Partial<ControlSource>): ControlSource {
  const missing = () => Promise.reject(new FshError("INTERNAL"));
  return {
    about: { pid: 1, version: "", url: "", folder: "", since: 0 },
    sessions: missing,
    sockets: missing,
    kick: missing,
    reload: missing,
    load: () => Promise.resolve({ sessions: 2, requests: 1 }),
    drain: () => ({ limit: 5, ended: Promise.resolve() }),
    ...parts,
  };
}

async function answers(request: ControlRequest, parts: Partial<ControlSource>) {
  const found = [];
  for await (const answer of answersTo(request, sourceWith(parts))) found.push(answer);
  return found;
}

Deno.test("what there is comes line by line, then done", async () => {
  const session = (id: string) => ({ id }) as SessionFact;
  assertEquals(
    await answers({ request: "sessions" }, { sessions: () => Promise.resolve([session("1"), session("2")]) }),
    [{ session: session("1") }, { session: session("2") }, { done: { count: 2 } }],
  );
  const reloaded = [{ what: "a", error: null }, { what: "b", error: "broken" }];
  assertEquals(
    (await answers({ request: "reload" }, { reload: () => Promise.resolve(reloaded) })).at(-1),
    { done: { count: 2, failed: 1 } },
  );
  const kick = (id: string, reason: string) => Promise.resolve(session(`${id} ${reason}`));
  assertEquals(await answers({ request: "kick", session: "1", reason: "r" }, { kick }), [
    { done: { session: session("1 r") } },
  ]);
  await assertFails(() => answers({ request: "kick", session: "1", reason: "" }, {}), "INTERNAL");
});

Deno.test("a drain that is waited for tells how far it is until nothing is left", async () => {
  const ended = Promise.withResolvers<void>();
  const drain = () => ({ limit: 5, ended: ended.promise });
  assertEquals(await answers({ request: "drain", wait: false }, { drain }), [
    { draining: { limit: 5, sessions: 2, requests: 1 } },
    { done: { ended: false } },
  ]);
  let looks = 0;
  const load = () => {
    if (++looks === 2) ended.resolve();
    return Promise.resolve({ sessions: 1, requests: looks });
  };
  assertEquals(await answers({ request: "drain", wait: true }, { drain, load }), [
    { draining: { limit: 5, sessions: 1, requests: 1 } },
    { draining: { limit: 5, sessions: 1, requests: 2 } },
    { done: { ended: true } },
  ]);
});
