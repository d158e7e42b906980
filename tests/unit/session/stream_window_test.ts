import { assertEquals, assertLessOrEqual } from "@std/assert";
import { Stream } from "../../../lib/session/stream.ts";
import type { MessageOf } from "../../../lib/wire/codec.ts";
import { Compressor } from "../../../lib/wire/compression.ts";
import { HEADER_BYTES } from "../../../lib/wire/frames.ts";
import { assertFails } from "../../support/named_errors.ts";
import { RecordingHost } from "../../support/recording_host.ts";
import { FshError } from "../../../lib/base/errors.ts";

const WINDOW = 64 * 1024;
const MIB = 1024 * 1024;

function stream(host: RecordingHost, options: { server?: boolean; remoteFin?: boolean } = {}): Stream {
  return new Stream(host, {
    id: 1,
    sendWindow: WINDOW,
    receiveWindow: WINDOW,
    waitsForPeer: options.server ?? true,
    remoteFin: options.remoteFin ?? false,
  });
}

const end: MessageOf<"END"> = {
  name: "END",
  stream: 1,
  fin: true,
  fields: { size: 0, algorithm: "none", digest: new Uint8Array() },
};

function data(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(HEADER_BYTES + length);
}

/** Lets all that is settled run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("a sender stops at the window and goes on when it is granted more", async () => {
  const host = new RecordingHost();
  const one = stream(host);
  await one.sendData(data(WINDOW - 10), { crc: 0 });
  let sent = false;
  const blocked = one.sendData(data(1000), { crc: 0 }).then(() => sent = true);
  await turn();
  assertEquals(host.sent.length, 1);
  one.receiveCredit(989);
  await turn();
  assertEquals(sent, false);
  one.receiveCredit(1);
  await blocked;
  assertEquals(host.sent.length, 2);
});

Deno.test("what waits for credit before it is read finds out, too, that the link is slow", async () => {
  for (const [ms, slow] of [[1, false], [1000, true]] as const) {
    const host = new RecordingHost();
    const one = stream(host);
    const compressor = new Compressor("auto");
    await one.sendData(data(WINDOW), { crc: 0, compressor });
    const room = one.afford(WINDOW);
    host.time += ms;
    one.receiveCredit(WINDOW);
    await room;
    await one.sendData(data(WINDOW), { crc: 0, compressor });
    assertEquals(compressor.isActive, slow, `after ${ms} ms`);
  }
});

Deno.test("a window that opens by a byte at a time gets whole frames, never crumbs", async () => {
  const host = new RecordingHost();
  const one = stream(host);
  await one.sendData(data(WINDOW), { crc: 0 });
  const size = one.chunkSize;
  assertLessOrEqual(16 * 1024, size);
  const next = one.sendData(data(size), { crc: 0 });
  for (let i = 1; i < size; i++) one.receiveCredit(1);
  await turn();
  assertEquals(host.sent.length, 1);
  one.receiveCredit(1);
  await next;
  assertEquals(host.sent.length, 2);
});

Deno.test("frames that are not metered pass a shut window", async () => {
  const host = new RecordingHost();
  const one = stream(host);
  await one.sendData(data(WINDOW), { crc: 0 });
  await one.send("END", end.fields, { fin: true });
  assertEquals(host.sent, ["DATA", "END"]);
});

Deno.test("a peer that sends more than its window breaks the protocol", () => {
  const host = new RecordingHost();
  const one = stream(host);
  one.receiveData(new Uint8Array(WINDOW), 0);
  assertEquals(host.breaches, []);
  one.receiveData(new Uint8Array(1), 0);
  assertEquals(host.breaches.map((error) => error.error), ["WINDOW_EXCEEDED"]);
});

Deno.test("a receiver grants what was consumed, in few frames, and never more", async () => {
  const host = new RecordingHost();
  const one = stream(host);
  const drained = one.drain(() => {});
  let total = 0;
  for (let i = 0; i < 1000; i++) {
    one.receiveData(new Uint8Array(1000), 0);
    total += 1000;
    assertLessOrEqual(host.granted, total);
    assertLessOrEqual(total - host.granted, WINDOW / 2);
  }
  assertLessOrEqual(host.urged.length, 1000 * 1000 / (WINDOW / 4));
  one.receiveMessage(end, 10);
  assertEquals((await drained).name, "END");
  assertEquals(host.breaches, []);
});

Deno.test("a slow sink grants nothing before it has taken the bytes", async () => {
  const host = new RecordingHost();
  const one = stream(host);
  const busy: (() => void)[] = [];
  const taken: number[] = [];
  const drained = one.drain((chunk) => {
    taken.push(chunk.length);
    return new Promise<void>((resolve) => busy.push(resolve));
  });
  one.receiveData(new Uint8Array(WINDOW / 2), 0);
  one.receiveData(new Uint8Array(WINDOW / 2), 0);
  await turn();
  assertEquals([taken, host.granted], [[WINDOW / 2], 0]);
  busy.shift()?.();
  await turn();
  assertEquals([taken, host.granted], [[WINDOW / 2, WINDOW / 2], WINDOW / 2]);
  busy.shift()?.();
  one.receiveMessage(end, 10);
  await drained;
});

Deno.test("tiny chunks that have to wait come out whole and in order", async () => {
  const one = stream(new RecordingHost());
  for (let i = 0; i < 5000; i++) one.receiveData(Uint8Array.of(i, i >> 8), 0);
  one.receiveMessage(end, 10);
  const bytes: number[] = [];
  await one.drain((chunk) => void bytes.push(...chunk));
  assertEquals(bytes.length, 10_000);
  assertEquals(bytes.every((byte, i) => byte === (((i >> 1) >> (i % 2 === 0 ? 0 : 8)) & 255)), true);
});

Deno.test("whatever the size of reads, a sender that keeps to chunkSize never waits for ever", async () => {
  for (const first of [1, 1000, WINDOW / 4 - 1, WINDOW / 4]) {
    const senders = new RecordingHost();
    const sender = stream(senders);
    const receivers = new RecordingHost();
    const receiver = stream(receivers);
    const drained = receiver.drain(() => {});
    let passed = 0;
    for (let i = 0; i < 50; i++) {
      const length = i % 2 === 0 ? first : sender.chunkSize;
      const sent = sender.sendData(data(length), { crc: 0 });
      sender.receiveCredit(receivers.granted - passed);
      passed = receivers.granted;
      let done = false;
      sent.then(() => done = true);
      await turn();
      assertEquals(done, true, `stuck after ${i} frames of ${first} and ${sender.chunkSize} bytes`);
      receiver.receiveData(new Uint8Array(length), 0);
    }
    receiver.receiveMessage(end, 10);
    await drained;
  }
});

Deno.test("credit beyond all measure breaks the protocol", () => {
  const host = new RecordingHost();
  stream(host).receiveCredit(2 ** 32 - 1);
  assertEquals(host.breaches.map((error) => error.error), ["BAD_FIELD"]);
});

Deno.test("frames after the peer's last one break the protocol", () => {
  const host = new RecordingHost();
  stream(host, { remoteFin: true }).receiveData(new Uint8Array(1), 0);
  assertEquals(host.breaches.map((error) => error.error), ["UNEXPECTED_FRAME"]);
});

Deno.test("unmetered frames that nobody takes are a FLOOD", () => {
  const host = new RecordingHost();
  const one = stream(host);
  for (let i = 0; i < 100; i++) one.receiveMessage({ ...end, fin: false }, 10);
  assertEquals(host.breaches[0]?.error, "FLOOD");
});

Deno.test("a sender that waits for credit hears of the end", async () => {
  const host = new RecordingHost();
  const one = stream(host);
  await one.sendData(data(WINDOW), { crc: 0 });
  const blocked = one.sendData(data(1), { crc: 0 });
  await turn();
  one.receiveError(new FshError("NO_SPACE"));
  await assertFails(() => blocked, "NO_SPACE");
  assertEquals([one.signal.aborted, host.ended], [true, [1]]);
});

/** Has a stream consume 64 MiB at a pace, and answers how much it granted for that. */
function consume(pace: { roundTrip: number; msPerMiB: number }): number {
  const host = new RecordingHost();
  host.roundTrip = pace.roundTrip;
  const one = new Stream(host, { id: 1, sendWindow: WINDOW, receiveWindow: 4 * MIB, waitsForPeer: true });
  one.drain(() => {}).catch(() => {});
  for (let i = 0; i < 64; i++) {
    host.time += pace.msPerMiB;
    one.receiveData(new Uint8Array(MIB), 0);
  }
  let granted = 0;
  for (const message of host.urged) if (message.name === "WINDOW") granted += message.fields.credit;
  one.sever(new FshError("CANCELLED"));
  return granted;
}

Deno.test("a window grows to hold what a far link holds, and not for a slow reader or a near peer", () => {
  // 1 MiB per ms × 40 ms, four times: 160 MiB, so the limit of 64 MiB, 60 more than at the start.
  assertEquals(consume({ roundTrip: 40, msPerMiB: 1 }), (64 + 60) * MIB);
  assertEquals(consume({ roundTrip: 40, msPerMiB: 1000 }), 64 * MIB);
  assertEquals(consume({ roundTrip: 0.1, msPerMiB: 1 }), 64 * MIB);
});
