import { assert, assertEquals } from "@std/assert";
import { Handshake, type HandshakeStep, type SessionLimits } from "../../../lib/session/handshake.ts";
import { decodeMessage, type MessageOf, readHeader } from "../../../lib/wire/codec.ts";
import { type FrameFields, frameName, HEADER_BYTES } from "../../../lib/wire/frames.ts";
import type { Admission } from "../../../lib/hooks/event.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

const limits: SessionLimits = { window: 1_000_000, maxStreams: 64, heartbeat: 30_000, misses: 3 };

const hello: FrameFields<"HELLO"> = {
  version: 1,
  agent: "test",
  capabilities: ["write"],
  methods: ["anonymous"],
  maxData: 1024 * 1024,
  window: 500_000,
  maxStreams: 100,
  heartbeat: 10_000,
  misses: 5,
  peer: "",
};

function message<N extends "HELLO" | "AUTH" | "CHALLENGE" | "READY">(name: N, fields: FrameFields<N>): MessageOf<N> {
  return { name, stream: 0, fin: false, fields };
}

function agreed(own: Partial<SessionLimits>, peer: Partial<FrameFields<"HELLO">>) {
  const handshake = new Handshake("client", { limits: { ...limits, ...own }, agent: "me" });
  const step = handshake.receive(message("HELLO", { ...hello, ...peer })) as HandshakeStep;
  assert(step.terms);
  return step.terms;
}

function sentNames(step: HandshakeStep): string[] {
  return step.send.map((frame) => frameName(readHeader(frame, 0).type) ?? "?");
}

Deno.test("the peers agree on the smaller of both", () => {
  const terms = agreed({}, {});
  assertEquals<unknown>(terms, {
    maxData: 1024 * 1024,
    sendWindow: 500_000,
    maxStreams: 64,
    heartbeat: 10_000,
    misses: 3,
    capabilities: ["write"],
    agent: "test",
  });
  assertEquals(agreed({}, { maxData: 100_000 }).maxData, 100_000);
  assertEquals(agreed({}, { maxData: 2 ** 32 - 1 }).maxData, 1024 * 1024);
  assertEquals(agreed({ maxStreams: 5 }, {}).maxStreams, 5);
  assertEquals(agreed({ misses: 1 }, {}).misses, 1);
});

Deno.test("a heartbeat of 0 is none: the other's holds, and none only if both want none", () => {
  assertEquals(agreed({ heartbeat: 0 }, { heartbeat: 7000 }).heartbeat, 7000);
  assertEquals(agreed({ heartbeat: 7000 }, { heartbeat: 0 }).heartbeat, 7000);
  assertEquals(agreed({ heartbeat: 0 }, { heartbeat: 0 }).heartbeat, 0);
});

Deno.test("a peer cannot ask for a heartbeat that is a flood, nor for no misses at all", () => {
  assertEquals(agreed({}, { heartbeat: 1 }).heartbeat, 100);
  assertEquals(agreed({}, { misses: 0 }).misses, 1);
});

Deno.test("limits that make no sense are BAD_FIELD and named", () => {
  assertEquals(assertThrowsError(() => agreed({}, { maxData: 100 }), "BAD_FIELD").subject, "HELLO");
  assertThrowsError(() => agreed({}, { window: 256 * 1024 - 1 }), "BAD_FIELD");
  assertThrowsError(() => agreed({}, { maxStreams: 0 }), "BAD_FIELD");
});

Deno.test("another version in HELLO is BAD_VERSION", () => {
  assertThrowsError(() => agreed({}, { version: 2 }), "BAD_VERSION");
});

Deno.test("a client answers HELLO with AUTH, a server with its own HELLO", () => {
  const client = new Handshake("client", { limits, agent: "me", credentials: { user: "an" } });
  const asked = client.receive(message("HELLO", hello)) as HandshakeStep;
  assertEquals(sentNames(asked), ["AUTH"]);
  const auth = decodeMessage({
    name: "AUTH",
    stream: 0,
    fin: false,
    crc: 0,
    payload: asked.send[0]?.subarray(HEADER_BYTES) ?? new Uint8Array(),
  });
  assertEquals<unknown>(auth.fields, { method: "anonymous", user: "an", data: new Uint8Array() });
  const server = new Handshake("server", { limits, agent: "me", methods: ["anonymous"] });
  assertEquals(sentNames(server.receive(message("HELLO", hello)) as HandshakeStep), ["HELLO"]);
});

Deno.test("a client refuses a server whose methods it does not know", () => {
  const client = new Handshake("client", { limits, agent: "me" });
  assertThrowsError(() => client.receive(message("HELLO", { ...hello, methods: ["password"] })), "AUTH_FAILED");
});

Deno.test("a server lets in whom authenticate lets in, and READY tells the name, at once", () => {
  const server = new Handshake("server", {
    limits,
    agent: "me",
    methods: ["anonymous"],
    admit: () => "7",
    authenticate: ({ user }) => ({ user: { name: user, home: "/an" } }),
  });
  const step = server.receive(
    message("AUTH", { method: "anonymous", user: "an", data: new Uint8Array() }),
  ) as HandshakeStep;
  assertEquals([sentNames(step), step.ready], [["READY"], true]);
  assertEquals<unknown>(server.identity, { session: "7", user: { name: "an", home: "/an" } });
  assertEquals(server.claim, { method: "anonymous", user: "an" });
  const client = new Handshake("client", { limits, agent: "me" });
  client.receive(message("HELLO", hello));
  client.receive(message("READY", { session: "7", user: "an" }));
  assertEquals<unknown>(client.identity, { session: "7", user: { name: "an" } });
});

Deno.test("a server refuses a method that it does not offer, and a second AUTH while it judges", async () => {
  const judging = Promise.withResolvers<Admission>();
  const server = new Handshake("server", {
    limits,
    agent: "me",
    methods: ["anonymous"],
    authenticate: () => judging.promise,
  });
  const auth = (method: string) => message("AUTH", { method, user: "", data: new Uint8Array() });
  assertThrowsError(() => server.receive(auth("password")), "AUTH_FAILED");
  const first = server.receive(auth("anonymous"));
  assertThrowsError(() => server.receive(auth("anonymous")), "UNEXPECTED_FRAME");
  judging.resolve({ user: { name: "" } });
  assertEquals((await first).ready, true);
});
