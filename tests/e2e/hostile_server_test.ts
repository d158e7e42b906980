import { assertMatch } from "@std/assert";
import { zstdCompressSync } from "node:zlib";
import { entryBytes } from "../../lib/wire/field.ts";
import { HEADER_BYTES } from "../../lib/wire/frames.ts";
import { existing, getting, INFO, type Place, runCases, single, SMALL } from "../support/hostile_case.ts";
import { type Script, THEN } from "../support/hostile_server.ts";
import { rawFrame } from "../support/raw_frame.ts";

/** Frame types, as PROTOCOL.md has them. */
const TYPE = { READY: 0x04, PING: 0x08, DATA: 0x10, LIST: 0x20, FILES: 0x18, ENTRIES: 0x12 };

Deno.test("frames that break the protocol end the session, with a name for it", async () => {
  const bomb = zstdCompressSync(new Uint8Array(64 * 1024 * 1024));
  const raw = (name: string, frame: (stream: number) => Uint8Array, exit: number, error: RegExp) =>
    getting(name, async (peer, stream) => {
      await peer.send("INFO", stream, INFO);
      await peer.sendBytes(frame(stream));
      await peer.rest();
    }, { exit, error });
  await runCases([
    raw(
      "a zstd bomb",
      (stream) => rawFrame({ type: TYPE.DATA, stream, flags: 4, payload: bomb }),
      6,
      /compressed frame/,
    ),
    raw("a frame of 4 GiB", (stream) => rawFrame({ type: TYPE.DATA, stream, length: 2 ** 32 - 1 }), 1, /frame longer/),
    raw(
      "a wrong checksum",
      (stream) => rawFrame({ type: TYPE.DATA, stream, payload: SMALL, crc: 1 }),
      6,
      /frame damaged/,
    ),
    raw("an unknown frame", (stream) => rawFrame({ type: 0xee, stream }), 1, /unknown frame/),
    raw("reserved bits", (stream) => rawFrame({ type: TYPE.DATA, stream, reserved: 1 }), 1, /reserved bits/),
    raw(
      "a request to the client",
      () => rawFrame({ type: TYPE.LIST, stream: 2, flags: 1 }),
      1,
      /not allowed from this side/,
    ),
    raw(
      "a stream that nobody opened",
      () => rawFrame({ type: TYPE.DATA, stream: 4001, payload: SMALL }),
      1,
      /stream number/,
    ),
    raw(
      "READY again",
      () => rawFrame({ type: TYPE.READY, payload: new Uint8Array(4) }),
      1,
      /not allowed in this phase/,
    ),
    raw(
      "text that is none",
      (stream) => rawFrame({ type: 0x0d, stream, payload: Uint8Array.of(0, 1, 0, 1, 0xff, 0, 0) }),
      1,
      /UTF-8/,
    ),
    raw(
      "a count of files that is not there",
      (stream) => rawFrame({ type: TYPE.ENTRIES, stream, payload: Uint8Array.of(4, 0) }),
      1,
      /ends before/,
    ),
    {
      name: "PINGs whose answers nobody reads",
      script: {
        // Nobody reads while this goes on.
        admit: async (peer) => {
          await peer.send("READY", 0, { session: "s", user: "" });
          const pings = Array.from(
            { length: 4096 },
            (_, i) => rawFrame({ type: TYPE.PING, payload: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, i % 256) }),
          );
          const whole = new Uint8Array(pings.length * (HEADER_BYTES + 8));
          pings.forEach((ping, i) => whole.set(ping, i * ping.length));
          for (;;) await peer.sendBytes(whole);
        },
      },
      args: single(),
      leaves: [],
      exit: 1,
      error: /more control frames/,
    },
    {
      name: "answers to more files than were sent, without an end",
      script: {
        answers: {
          PUTS: async (peer, { stream }, room) => {
            const outcomes = Array.from({ length: 256 }, () => ({ code: 100, detail: "x".repeat(256) }));
            for (;;) {
              await room(2 + 256 * 260);
              await peer.send("STORED", stream, { outcomes });
            }
          },
          any: (peer, { stream }) => peer.send("DONE", stream, { count: 1, skipped: 0 }, true),
        },
      },
      args: (url) => ["put", "-r", "--retries", "0", "tree", url],
      before: existing("tree/mine"),
      exit: 1,
      error: /does not belong to this command/,
    },
    {
      name: "a window that grows beyond all numbers",
      script: {
        answers: {
          PUT: async (peer, { stream }) => {
            for (let i = 0; i < 3; i++) await peer.send("WINDOW", stream, { credit: 2 ** 32 - 1 });
          },
        },
      },
      args: (url) => ["put", "--retries", "0", "mine", `${url}file`],
      before: existing("mine"),
      exit: 1,
      error: /out of range/,
    },
    {
      name: "a window opened byte by byte",
      script: {
        answers: {
          PUT: async (peer, { stream }) => {
            for (let i = 0; i < 500; i++) {
              await peer.send("WINDOW", stream, { credit: 1 });
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
          },
        },
      },
      args: (url) => ["put", "--retries", "0", "--stall-timeout", "1s", "mine", `${url}file`],
      before: existing("mine", "x".repeat(1_000_000)),
      exit: 3,
      error: /stalled/,
    },
  ]);
});

Deno.test("listings and trees that do not end are left, within bounds of memory", async () => {
  const endless = (page: (index: number) => readonly { name: string; type?: "directory" }[]): Script => ({
    content: SMALL,
    answers: {
      STAT: (peer, request) => {
        const { stream } = request;
        // Nothing has the very name of a pattern.
        if (JSON.stringify(request.fields).includes("*")) {
          return peer.send("ERROR", stream, { code: 100, subject: "", detail: "" });
        }
        return peer.send("INFO", stream, { type: "directory", size: 0, modified: THEN, mode: 0o755, offset: 0 }, true);
      },
      LIST: async (peer, { stream }, room) => {
        for (let index = 0;; index++) {
          const entries = page(index).map(({ name, type = "directory" }) => ({
            name,
            type,
            size: 0,
            modified: THEN,
            mode: 0o755,
          }));
          await room(2 + entries.reduce((sum, entry) => sum + entryBytes(entry), 0));
          await peer.send("ENTRIES", stream, { entries });
        }
      },
    },
  });
  const many = (index: number) => Array.from({ length: 500 }, (_, i) => ({ name: `${index}-${i}` }));
  const bad = (index: number) =>
    Array.from({ length: 500 }, (_, i) => ({ name: `../${index}-${i}-${"x".repeat(150)}` }));
  const long = (index: number) => Array.from({ length: 25 }, (_, i) => ({ name: `${index}-${i}`.padEnd(4000, "/x") }));
  const deep = () => [{ name: "d/".repeat(1000) + "d" }];
  const limited = { exit: 1, error: /a listing that does not end \(over \d+; --max-names allows more\)/ } as const;
  const limit = (names: number, ...args: string[]) => (url: string, { dest }: Place) => [
    ...args,
    "--max-names",
    String(names),
    `${url}tree`,
    ...(args[0] === "get" ? [dest] : []),
  ];
  await runCases([
    { name: "get -r", script: endless(many), args: limit(2_000, "get", "-r"), ...limited },
    { name: "get -r --dry-run", script: endless(many), args: limit(20_000, "get", "-r", "--dry-run"), ...limited },
    { name: "get -r of names that are none", script: endless(bad), args: limit(10_000, "get", "-r", "-q"), ...limited },
    { name: "get -r of the same deep folder", script: endless(deep), args: limit(3_000, "get", "-r"), ...limited },
    { name: "ls", script: endless(many), args: limit(60_000, "ls"), ...limited },
    { name: "ls -R of long names", script: endless(long), args: limit(20_000, "ls", "-R"), ...limited },
    { name: "ls of pages without names", script: endless(() => []), args: limit(20_000, "ls"), ...limited },
    {
      name: "verify -r",
      script: endless(many),
      args: (url, { dest }) => ["verify", "-r", "-q", "--max-names", "20000", dest, `${url}tree`],
      ...limited,
    },
    {
      name: "a pattern",
      script: endless((index) => many(index).map(({ name }) => ({ name: `${name}.gz` }))),
      args: (url, { dest }) => ["get", `${url}tree/*.gz`, dest],
      exit: 1,
      error: /a listing that does not end \(over 100000 match/,
    },
  ]);
});

Deno.test("a hostile server is seen where the client would do what it is told", async () => {
  // The measure itself: a change beside the destination must not go unnoticed.
  let seen = "";
  try {
    await runCases([{
      name: "a server that is let out",
      script: ({ top }) => ({
        answers: {
          any: async (peer, { stream }) => {
            await Deno.writeTextFile(`${top}/outside/new`, "out\n");
            await peer.send("ERROR", stream, { code: 100, subject: "", detail: "" });
          },
        },
      }),
      exit: 5,
    }]);
  } catch (error) {
    seen = String(error);
  }
  assertMatch(seen, /outside the destination has changed/);
});
