// A process of attackers: `attacker.ts PATTERN PORT COUNT FIRST SECONDS`. Ends by itself and prints what it did as JSON.
import { FRAMES, HEADER_BYTES } from "../../../lib/wire/frames.ts";
import { PREFACE } from "../../../lib/wire/preface.ts";
import { NativePeer, pollAll, type Ready } from "./native_peers.ts";
import { HANDSHAKE, type Pattern, PATTERNS, type Turn } from "./patterns.ts";

/** Milliseconds until whoever was thrown out comes again. */
const COME_AGAIN = 20;
/** Answers that end a request. */
const ANSWERS: readonly number[] = [
  FRAMES.DONE.code,
  FRAMES.DIGEST.code,
  FRAMES.INFO.code,
  FRAMES.ERROR.code,
  FRAMES.END.code,
];

const totals = { connections: 0, lost: 0, sent: 0, received: 0, greeted: 0 };
const scratch = new Uint8Array(256 * 1024);

/** One connection of an attacker; another one takes its place when it is gone. */
class Attacker {
  peer: NativePeer | null = null;
  readonly #pattern: Pattern;
  readonly #connect: () => NativePeer;
  #begun = 0;
  #count = 0;
  #answered = 0;
  #greeted = false;
  #out: Uint8Array = new Uint8Array(0);
  /** Bytes of the peer's until its next frame begins; and the header that has come so far. */
  #skip = PREFACE.length;
  #header: number[] = [];
  /** When to connect. */
  #due: number;

  constructor(pattern: Pattern, connect: () => NativePeer, due: number) {
    this.#pattern = pattern;
    this.#connect = connect;
    this.#due = due;
  }

  /** Connects where it is time, and thinks of what to send. */
  wake(now: number): void {
    if (this.peer === null) {
      if (now < this.#due) return;
      this.peer = this.#connect();
      totals.connections++;
      this.#begun = now;
      this.#count = this.#answered = 0;
      this.#greeted = !this.#pattern.shakes;
      this.#out = this.#pattern.shakes ? HANDSHAKE : new Uint8Array(0);
      this.#skip = PREFACE.length;
      this.#header = [];
    }
    if (this.#out.length > 0 || !this.#greeted) return;
    const turn: Turn = { age: now - this.#begun, count: this.#count, answered: this.#answered };
    const next = this.#pattern.next(turn);
    if (next === null) return;
    this.#count++;
    this.#answered = 0;
    if (next === "close") this.#leave(now, 0);
    else this.#out = next;
  }

  get reads(): boolean {
    return this.#pattern.reads || !this.#greeted;
  }

  get writes(): boolean {
    return this.#out.length > 0;
  }

  act({ readable, writable, broken }: Ready, now: number): void {
    if (writable && this.writes) {
      const sent = this.peer?.send(this.#out) ?? null;
      if (sent === null) return this.#lose(now);
      totals.sent += sent;
      this.#out = this.#out.subarray(sent);
    }
    if (readable && this.reads) {
      const got = this.peer?.receive(scratch) ?? null;
      if (got === null) return this.#lose(now);
      totals.received += got;
      this.#parse(scratch.subarray(0, got));
    } else if (broken) this.#lose(now);
  }

  #lose(now: number): void {
    totals.lost++;
    this.#leave(now, COME_AGAIN);
  }

  #leave(now: number, pause: number): void {
    this.peer?.close();
    this.peer = null;
    this.#due = now + pause;
  }

  /** Looks at types of frames only: READY, and what ends a request. */
  #parse(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const passed = Math.min(this.#skip, bytes.length - at);
      this.#skip -= passed;
      at += passed;
      for (; this.#skip === 0 && at < bytes.length && this.#header.length < HEADER_BYTES; at++) {
        this.#header.push(bytes[at] as number);
      }
      if (this.#header.length < HEADER_BYTES) continue;
      const [a = 0, b = 0, c = 0, d = 0, type = 0] = this.#header;
      this.#skip = a * 2 ** 24 + (b << 16 | c << 8 | d);
      this.#header = [];
      if (type === FRAMES.READY.code) {
        this.#greeted = true;
        totals.greeted++;
      } else if (ANSWERS.includes(type)) this.#answered++;
    }
  }
}

const [name = "", port = "", count = "", first = "", seconds = ""] = Deno.args;
const pattern = Object.entries(PATTERNS).find(([known]) => known === name)?.[1];
if (!pattern) throw new Error(`no pattern ${name}`);
const start = performance.now();
const attackers = Array.from({ length: Number(count) }, (_, at) => {
  const number = Number(first) + at;
  const connect = () => new NativePeer(Number(port), [127, 1, number >> 8, (number & 0xff) || 1]);
  // Not all in the same instant.
  return new Attacker(pattern, connect, start + at);
});
for (let now = start; now < start + Number(seconds) * 1000; now = performance.now()) {
  for (const attacker of attackers) attacker.wake(now);
  const here = attackers.flatMap((item) => {
    const { peer, reads, writes } = item;
    return peer === null ? [] : [{ item, fd: peer.fd, reads, writes }];
  });
  const before = performance.now();
  pollAll(here, 10, (attacker, what) => attacker.act(what, performance.now()));
  if (here.length === 0) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(0, 5 - (performance.now() - before)));
  }
}
for (const { peer } of attackers) peer?.close();
console.log(JSON.stringify(totals));
