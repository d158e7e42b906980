import { assert, assertEquals, assertLessOrEqual, assertStringIncludes } from "@std/assert";
import {
  compareClaims,
  decodeMessage,
  type DnsRecord,
  encodeMessage,
  MOST_BYTES,
} from "../../../lib/discovery/message.ts";
import { QUESTION_BYTES } from "../../../lib/discovery/browse.ts";
import { checkServiceName, numberedName, type Part, recordsOf, type Service } from "../../../lib/discovery/service.ts";
import { assertThrowsError } from "../../support/named_errors.ts";
import { Random } from "../../support/random.ts";

const PARTS: readonly Part[] = ["pointer", "target", "text", "addresses"];
const SERVICE: Service = {
  name: "n".repeat(63),
  scheme: "fshs",
  port: 65535,
  fingerprint: "SHA256:" + "a".repeat(43),
  host: "fsh-0123456789abcdef.local",
  addresses: Array.from({ length: 100 }, (_, i) => `fd00:1111:2222:3333:4444:5555:6666:${i + 1}`),
};
const RECORDS = PARTS.flatMap((part) => recordsOf(SERVICE, part));

Deno.test("what is encoded is decoded", () => {
  const bytes = encodeMessage({
    kind: "query",
    questions: [{ name: "ü (2)._fsh._tcp.local", type: "ANY" }],
    answers: [{ type: "PTR", name: "a.local", target: "b.local", ttl: 7, flush: false }],
    authorities: RECORDS,
    padTo: 1200,
  });
  const message = decodeMessage(bytes);
  assertEquals(message?.questions, [{ name: "ü (2)._fsh._tcp.local", type: "ANY" }]);
  assertEquals(message?.answers, [{ type: "PTR", name: "a.local", target: "b.local", ttl: 7, flush: false }]);
  assertEquals(message?.authorities, RECORDS);
});

Deno.test("no answer is longer than the question of fsh discover, whatever the server says of itself", () => {
  const answer = encodeMessage({ kind: "response", answers: RECORDS });
  assertLessOrEqual(answer.length, QUESTION_BYTES);
  const asked = encodeMessage({ kind: "query", padTo: QUESTION_BYTES });
  assertEquals(asked.length, QUESTION_BYTES);
});

Deno.test("messages that nobody may act on are none", () => {
  const good = encodeMessage({ kind: "response", answers: RECORDS });
  assert(decodeMessage(good) !== null);
  const changed = (at: number, value: number) => {
    const bytes = new Uint8Array(good);
    bytes[at] = value;
    return bytes;
  };
  assertEquals(decodeMessage(changed(2, 0x84 | 0x28)), null, "opcode 5");
  assertEquals(decodeMessage(changed(3, 3)), null, "an error");
  assertEquals(decodeMessage(changed(6, 0xff)), null, "65,000 answers");
  assertEquals(decodeMessage(new Uint8Array()), null);
  assertEquals(decodeMessage(new Uint8Array(12)), {
    kind: "query",
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
  });
  assertEquals(decodeMessage(new Uint8Array(MOST_BYTES + 1)), null);
});

Deno.test("names that point at themselves, at each other, or on and on end", () => {
  const header = [0, 0, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  assertEquals(decodeMessage(Uint8Array.from([...header, 0xc0, 12, 0, 12, 0, 1])), null);
  assertEquals(decodeMessage(Uint8Array.from([...header, 0xc0, 14, 0xc0, 12, 0, 12, 0, 1])), null);
  assertEquals(decodeMessage(Uint8Array.from([...header, 1, 97, 0xc0, 12, 0, 12, 0, 1])), null);
  // As many pointers, each to the one before, as there is room for, and questions that all begin at the last one.
  const bytes = new Uint8Array(MOST_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(4, 120);
  for (let at = 14; at < 800; at += 2) view.setUint16(at, 0xc000 | (at - 2));
  for (let at = 800; at + 6 <= bytes.length; at += 6) view.setUint16(at, 0xc000 | 798), view.setUint16(at + 4, 1);
  const begun = performance.now();
  for (let i = 0; i < 200; i++) decodeMessage(bytes);
  // A second's worth of them.
  assertLessOrEqual(performance.now() - begun, 1000);
});

Deno.test("a message can't have more in it than it is long", () => {
  // A text that the message cuts off sets the library back to the start: 65,535 answers out of 23 bytes.
  const header = [0, 0, 0x84, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0xff];
  assertEquals(decodeMessage(Uint8Array.from([...header, 0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 5])), null);
});

Deno.test("damaged and random messages harm nobody", () => {
  const random = new Random(20260101);
  const good = encodeMessage({ kind: "response", answers: RECORDS });
  let readable = 0;
  for (let i = 0; i < 20_000; i++) {
    const whole = random.chance(20) ? random.bytes(1 + random.below(MOST_BYTES)) : good;
    const bytes = new Uint8Array(random.chance(50) ? whole : whole.subarray(0, 1 + random.below(whole.length)));
    for (let flips = random.below(8); flips > 0; flips--) bytes[random.below(bytes.length)] = random.next();
    if (decodeMessage(bytes) !== null) readable++;
  }
  assert(readable > 0, "none was nearly right");
});

Deno.test("claims are compared by type, then by data, whatever order they come in", () => {
  const name = "a._fsh._tcp.local";
  const head = { name, ttl: 120, flush: false };
  const [txt, srv]: DnsRecord[] = [
    { ...head, type: "TXT", strings: ["b"] },
    { ...head, type: "SRV", port: 256, target: "h.local" },
  ] as const;
  assert(txt && srv);
  assertEquals(compareClaims([txt, srv], [srv, txt]), 0);
  assert(compareClaims([srv], [txt]) > 0);
  assert(compareClaims([txt], [txt, srv]) < 0);
  assert(compareClaims([{ ...head, type: "SRV", port: 255, target: "z.local" }], [srv]) < 0);
});

Deno.test("names that servers can be announced by", () => {
  for (const name of ["office", "Büro & Lager", "a (2)", "x".repeat(63), "日本語", "-", "_"]) {
    assertEquals(checkServiceName(name), name);
  }
  assertEquals(checkServiceName("u\u0308"), "ü");
  for (
    const [name, why] of [
      ["", "something to read"],
      ["  ", "something to read"],
      ["a.b", "dots"],
      ["a\\b", "backslashes"],
      ["a\nb", "control"],
      ["a\u202eb", "control"],
      ["\x7f", "control"],
      ["x".repeat(64), "64"],
      ["ü".repeat(32), "64"],
    ] as const
  ) {
    assertStringIncludes(assertThrowsError(() => checkServiceName(name), "USAGE").message, why);
  }
});

Deno.test("numbered names fit, too", () => {
  assertEquals(numberedName("office", 2), "office (2)");
  assertEquals(numberedName("x".repeat(63), 10), "x".repeat(58) + " (10)");
  assertEquals(numberedName("ü".repeat(31), 2), "ü".repeat(29) + " (2)");
  assertEquals(numberedName("😀".repeat(15), 2), "😀".repeat(14) + " (2)");
});
