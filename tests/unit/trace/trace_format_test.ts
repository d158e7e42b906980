import { assertEquals } from "@std/assert";
import { ByteSource } from "../../../lib/trace/byte_source.ts";
import { encodeRecord, readTrace, TRACE_MAGIC, type TraceRecord } from "../../../lib/trace/trace_format.ts";
import { encodeMessage } from "../../../lib/wire/codec.ts";
import { HEADER_BYTES } from "../../../lib/wire/frames.ts";
import { assertFails } from "../../support/named_errors.ts";
import { Random } from "../../support/random.ts";
import { joined } from "../../support/raw_frame.ts";

const ping = encodeMessage("PING", 0, { nonce: 7 });
const at = { session: 3, time: 1_700_000_000_123_456 };
const RECORDS: readonly TraceRecord[] = [
  { ...at, kind: "opened", facts: { client: "[::1]:5", server: "[::1]:7374", by: "server" } },
  {
    ...at,
    kind: "frame",
    from: "server",
    frame: {
      header: ping.slice(0, HEADER_BYTES),
      kept: ping.slice(HEADER_BYTES),
      arrived: 8,
      elided: true,
      malformed: false,
    },
  },
  { ...at, kind: "stray", from: "client", bytes: 12 },
  { ...at, kind: "closed", facts: { by: "client", how: "reset", sent: 2 ** 40, received: 0 } },
];
const whole = joined(TRACE_MAGIC, ...RECORDS.flatMap(encodeRecord));

async function read(bytes: Uint8Array): Promise<{ records: TraceRecord[]; torn: number }> {
  let [left, torn] = [bytes, 0];
  const source = new ByteSource({
    read(into) {
      const part = left.subarray(0, Math.min(into.length, 37));
      into.set(part);
      left = left.subarray(part.length);
      return Promise.resolve(part.length || null);
    },
  });
  const records: TraceRecord[] = [];
  for await (const record of readTrace(source, () => torn++)) records.push(record);
  return { records, torn };
}

Deno.test("records come back as they were written", async () => {
  assertEquals(await read(whole), { records: [...RECORDS], torn: 0 });
});

Deno.test("a trace that ends within a record gives what is whole, and says so", async () => {
  const ends = new Set<number>();
  let end = TRACE_MAGIC.length;
  for (const record of [null, ...RECORDS]) ends.add(end += record ? joined(...encodeRecord(record)).length : 0);
  for (let length = TRACE_MAGIC.length; length <= whole.length; length++) {
    const { records, torn } = await read(whole.subarray(0, length));
    assertEquals(records, RECORDS.slice(0, records.length));
    assertEquals(torn, ends.has(length) ? 0 : 1, String(length));
  }
});

Deno.test("what is no trace, or damaged, is refused by name and never by accident", async () => {
  for (const text of ["", "FSH-TRACE/2\n", "\xd4\xc3\xb2\xa1 and more of a capture"]) {
    await assertFails(() => read(new TextEncoder().encode(text)), "BAD_TRACE");
  }
  const random = new Random(31);
  let refused = 0;
  for (let round = 0; round < 500; round++) {
    const damaged = whole.slice();
    damaged[TRACE_MAGIC.length + random.below(whole.length - TRACE_MAGIC.length)] = random.below(256);
    // Whatever it finds there: records, or the one error that there is for it.
    const work = read(damaged);
    if (await work.then(() => false, () => true)) await assertFails(() => work, "BAD_TRACE").then(() => refused++);
  }
  assertEquals(refused > 20, true, String(refused));
});
