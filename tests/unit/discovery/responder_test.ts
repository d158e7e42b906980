import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import {
  decodeMessage,
  type DnsRecord,
  encodeMessage,
  type Message,
  type Outgoing,
} from "../../../lib/discovery/message.ts";
import { Responder } from "../../../lib/discovery/responder.ts";
import type { Service } from "../../../lib/discovery/service.ts";

const SERVICE: Service = {
  name: "office",
  scheme: "fshs",
  port: 7374,
  fingerprint: "SHA256:" + "a".repeat(43),
  host: "fsh-1.local",
  addresses: ["10.0.0.1", "fd00::1"],
};
const INSTANCE = "office._fsh._tcp.local";
const ASKED = { kind: "query", questions: [{ name: "_fsh._tcp.local", type: "PTR" }] } as const;

function message(outgoing: Outgoing): Message {
  const decoded = decodeMessage(encodeMessage(outgoing));
  if (decoded === null) throw new Error("what is sent must be readable");
  return decoded;
}

function rival(target: string, port = 7374): DnsRecord {
  return { type: "SRV", name: "Office._FSH._tcp.local", port, target, ttl: 120, flush: true };
}

class Bench {
  readonly clock = new ManualClock();
  readonly sent: { readonly at: number; readonly message: Message; readonly bytes: number }[] = [];
  readonly events: string[] = [];
  service = SERVICE;
  readonly responder = new Responder({
    clock: this.clock,
    random: () => 0.5,
    send: (outgoing) =>
      this.sent.push({ at: this.clock.now(), message: message(outgoing), bytes: encodeMessage(outgoing).length }),
    service: () => this.service,
    onAnnounced: () => this.events.push("announced"),
    onTaken: () => this.events.push("taken"),
    onDisputed: () => this.events.push("disputed"),
  });

  /** Past the announcements, and what they hold up. */
  announced(): this {
    this.responder.start();
    this.clock.advance(5000);
    assertEquals(this.events, ["announced"]);
    this.sent.length = 0;
    return this;
  }

  hear(outgoing: Outgoing): void {
    this.responder.heard(message(outgoing));
  }
}

Deno.test("three probes, 250 ms apart, then two announcements, a second apart", () => {
  const bench = new Bench();
  bench.responder.start();
  bench.clock.advance(10_000);
  assertEquals(bench.sent.map(({ at, message }) => [at, message.kind]), [
    [125, "query"],
    [375, "query"],
    [625, "query"],
    [875, "response"],
    [1875, "response"],
  ]);
  const [probe, announcement] = [bench.sent[0]?.message, bench.sent[3]?.message];
  assertEquals(probe?.questions, [{ name: INSTANCE, type: "ANY" }]);
  assertEquals(probe?.authorities.map(({ type, name }) => [type, name]), [["TXT", INSTANCE], ["SRV", INSTANCE]]);
  assertEquals(announcement?.answers.map(({ type, flush }) => [type, flush]), [
    ["PTR", false],
    ["SRV", true],
    ["TXT", true],
    ["A", true],
    ["AAAA", true],
  ]);
  assertEquals(bench.clock.pending, 0);
});

Deno.test("a question is answered with all that it takes to connect, after a short delay", () => {
  const bench = new Bench().announced();
  const asked = bench.clock.now();
  bench.hear(ASKED);
  assertEquals(bench.sent.length, 0);
  bench.clock.advance(120);
  const [answer] = bench.sent;
  assertEquals(bench.sent.length, 1);
  assertGreaterOrEqual((answer?.at ?? 0) - asked, 20);
  assertEquals(answer?.message.answers, [
    { type: "PTR", name: "_fsh._tcp.local", target: INSTANCE, ttl: 120, flush: false },
  ]);
  assertEquals(answer?.message.additionals, [
    { type: "SRV", name: INSTANCE, port: 7374, target: "fsh-1.local", ttl: 120, flush: true },
    {
      type: "TXT",
      name: INSTANCE,
      strings: ["txtvers=1", "scheme=fshs", `fp=${SERVICE.fingerprint}`],
      ttl: 120,
      flush: true,
    },
    { type: "A", name: "fsh-1.local", address: "10.0.0.1", ttl: 120, flush: true },
    { type: "AAAA", name: "fsh-1.local", address: "fd00::1", ttl: 120, flush: true },
  ]);
});

Deno.test("however many ask, there is one answer a second, and nobody who asks goes without", () => {
  const bench = new Bench().announced();
  const begun = bench.clock.now();
  for (let i = 0; i < 1000; i++) {
    bench.hear(ASKED);
    bench.hear({ kind: "query", questions: [{ name: INSTANCE, type: "ANY" }, { name: "fsh-1.local", type: "A" }] });
    bench.clock.advance(5);
  }
  assertLessOrEqual(bench.sent.length, 6);
  const times = bench.sent.map(({ at }) => at - begun);
  times.slice(1).forEach((at, i) => assertGreaterOrEqual(at - (times[i] ?? 0), 1000));
  bench.clock.advance(1000);
  assertGreaterOrEqual(bench.sent.at(-1)?.at ?? 0, begun + 5000);
});

Deno.test("questions for each record, for the list of types, and for other things", () => {
  for (
    const [name, type, answers, additionals] of [
      [INSTANCE, "SRV", ["SRV"], ["A", "AAAA"]],
      [INSTANCE, "TXT", ["TXT"], []],
      [INSTANCE.toUpperCase(), "ANY", ["SRV", "TXT"], ["A", "AAAA"]],
      ["fsh-1.local", "AAAA", ["A", "AAAA"], []],
      ["_services._dns-sd._udp.local", "PTR", ["PTR"], []],
      ["_fsh._udp.local", "PTR", null, null],
      ["other._fsh._tcp.local", "ANY", null, null],
      ["_fsh._tcp.local", "TXT", null, null],
      ["office", "ANY", null, null],
    ] as const
  ) {
    const bench = new Bench().announced();
    bench.hear({ kind: "query", questions: [{ name, type }] });
    bench.clock.advance(2000);
    const types = (records?: readonly DnsRecord[]) => records?.map((record) => record.type).join(" ") ?? null;
    assertEquals(types(bench.sent[0]?.message.answers), answers?.join(" ") ?? null, `${type} ${name}`);
    assertEquals(types(bench.sent[0]?.message.additionals), additionals?.join(" ") ?? null, `${type} ${name}`);
  }
});

Deno.test("who knows the answer gets none, unless it is old or another one", () => {
  const pointer: DnsRecord = { type: "PTR", name: "_fsh._tcp.local", target: INSTANCE, ttl: 120, flush: false };
  for (
    const [known, answers] of [
      [pointer, 0],
      [{ ...pointer, ttl: 59 }, 1],
      [{ ...pointer, target: "other._fsh._tcp.local" }, 1],
    ] as const
  ) {
    const bench = new Bench().announced();
    bench.hear({ ...ASKED, answers: [known] });
    bench.clock.advance(2000);
    assertEquals(bench.sent.length, answers, JSON.stringify(known));
  }
});

Deno.test("a name that is in use is not taken", () => {
  const bench = new Bench();
  bench.responder.start();
  bench.clock.advance(200);
  bench.hear({ kind: "response", answers: [rival("fsh-2.local")] });
  assertEquals(bench.events, ["taken"]);
  bench.sent.length = 0;
  bench.clock.advance(10_000);
  assertEquals(bench.sent, []);
});

Deno.test("what one says oneself, or somebody takes back, is no conflict", () => {
  const bench = new Bench();
  bench.responder.start();
  for (let i = 0; i < 20; i++) {
    bench.hear({ kind: "response", answers: [rival("FSH-1.local"), { ...rival("fsh-2.local"), ttl: 0 }] });
    bench.hear({ kind: "query", questions: [], authorities: [rival("fsh-1.local")] });
    bench.clock.advance(100);
  }
  assertEquals(bench.events, ["announced"]);
});

Deno.test("of two that probe at once the one whose records come later goes on, the other asks again a second later", () => {
  for (const [target, announcedAt] of [["fsh-0.local", 875], ["fsh-2.local", 200 + 1000 + 750]] as const) {
    const bench = new Bench();
    // The text is the same, so that the targets decide.
    const text: DnsRecord = {
      type: "TXT",
      name: INSTANCE,
      strings: ["txtvers=1", "scheme=fshs", `fp=${SERVICE.fingerprint}`],
      ttl: 120,
      flush: false,
    };
    bench.responder.start();
    bench.clock.advance(200);
    bench.hear({ kind: "query", questions: [{ name: INSTANCE, type: "ANY" }], authorities: [rival(target), text] });
    bench.clock.advance(10_000);
    assertEquals(bench.sent.find(({ message }) => message.kind === "response")?.at, announcedAt, target);
  }
});

Deno.test("who probes for a name that is in use hears so at once, four times a second at the most", () => {
  const bench = new Bench().announced();
  for (let i = 0; i < 100; i++) {
    bench.hear({
      kind: "query",
      questions: [{ name: INSTANCE, type: "ANY" }],
      authorities: [rival("fsh-9.local")],
    });
    bench.clock.advance(10);
  }
  assertEquals(bench.sent.length, 4);
  assertEquals(bench.sent[0]?.message.answers[0], { ...rival("fsh-1.local"), name: INSTANCE });
});

Deno.test("somebody who claims the name in use is disputed, once", () => {
  const bench = new Bench().announced();
  bench.events.length = 0;
  for (let i = 0; i < 3; i++) bench.hear({ kind: "response", answers: [rival("fsh-2.local")] });
  assertEquals(bench.events, ["disputed"]);
});

Deno.test("a farewell takes everything back, and is said only of what was announced", () => {
  const early = new Bench();
  early.responder.start();
  early.clock.advance(500);
  early.sent.length = 0;
  early.responder.farewell();
  early.clock.advance(5000);
  assertEquals(early.sent, []);

  const bench = new Bench().announced();
  bench.hear(ASKED);
  bench.responder.farewell();
  bench.responder.farewell();
  bench.clock.advance(5000);
  assertEquals(bench.sent.length, 1);
  const types = bench.sent[0]?.message.answers.map(({ type, ttl }) => [type, ttl]);
  assertEquals(types, [["PTR", 0], ["SRV", 0], ["TXT", 0], ["A", 0], ["AAAA", 0]]);
});

Deno.test("a new certificate is announced once, and answers have it", () => {
  const bench = new Bench().announced();
  bench.service = { ...SERVICE, fingerprint: "SHA256:" + "b".repeat(43) };
  bench.responder.changed();
  bench.clock.advance(3000);
  assertEquals(bench.sent.length, 1);
  assert(JSON.stringify(bench.sent[0]?.message).includes(`fp=${bench.service.fingerprint}`));
});
