// The dissector, over captures that fsh makes of sessions which need no network. Needs tshark.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { ERRORS } from "../../lib/base/errors.ts";
import { Client } from "../../lib/client/client.ts";
import { SessionTrace } from "../../lib/trace/session_trace.ts";
import { PCAP_HEAD } from "../../lib/trace/pcap.ts";
import { TraceOutput } from "../../lib/trace/trace_output.ts";
import { Tracer } from "../../lib/trace/tracer.ts";
import { encodeMessage, readHeader } from "../../lib/wire/codec.ts";
import { type FrameName, frameRow, FRAMES, HEADER_BYTES } from "../../lib/wire/frames.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { FRAME_NAMES, validFrame } from "../support/frame_values.ts";
import { Random } from "../support/random.ts";
import { fixCrc, joined, rawFrame } from "../support/raw_frame.ts";
import { RunningServer } from "../support/running_server.ts";
import { bytesOf, pattern, store } from "../support/stored_files.ts";
import { dissect, hasTshark, tshark } from "../support/tshark.ts";

/** One session in a capture: what each end says, piece by piece, in turns. */
interface Said {
  readonly client: readonly Uint8Array[];
  readonly server?: readonly Uint8Array[];
  /** Of the client; what is no address of IP is one of nowhere. */
  readonly local?: string;
}

/** Makes a capture of sessions in which nothing is masked but secrets, and hands its path over. */
async function captured(sessions: readonly Said[], work: (file: string) => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "fsh-", suffix: ".pcap" });
  try {
    const failed: string[] = [];
    const stopped = (why: string) => failed.push(why);
    const pcap = await TraceOutput.open(file, { magic: PCAP_HEAD, limit: Infinity, stopped });
    pcap.write(PCAP_HEAD);
    for (const [i, { client, server = [], local = "10.0.0.1:5000" }] of sessions.entries()) {
      const ends = { local, remote: local.startsWith("[") ? "[fe80::1%eth0]:7000" : `10.0.0.2:${7000 + i}` };
      const options = { number: i + 1, role: "client", content: Infinity, held: { left: Infinity } } as const;
      const trace = new SessionTrace({ ...options, ...ends, trace: null, pcap, now: () => Date.now() * 1000 });
      trace.sends(PREFACE);
      trace.received(PREFACE);
      for (let turn = 0; turn < Math.max(client.length, server.length); turn++) {
        if (client[turn]) trace.sends(client[turn] as Uint8Array);
        if (server[turn]) trace.received(server[turn] as Uint8Array);
      }
      trace.over();
    }
    await pcap.close();
    assertEquals(failed, []);
    await work(file);
  } finally {
    await Deno.remove(file);
  }
}

/** A valid frame on the right stream, of values that the dissector can be asked for. */
function frameOf(name: FrameName, random: Random): Uint8Array<ArrayBuffer> {
  return validFrame(name, random, frameRow(name).on === "session" ? 0 : 1 + random.below(1000));
}

const told = (frame: Uint8Array) => {
  const { type, stream, length } = readHeader(frame, 0);
  return { type, stream, length };
};

Deno.test({
  name: "every frame with values of every kind, over IPv4, IPv6 and neither: tshark names all, and none is malformed",
  ignore: !hasTshark(),
  async fn() {
    const random = new Random(41);
    const by = (...senders: string[]) => FRAME_NAMES.filter((name) => senders.includes(frameRow(name).sender));
    const make = (names: FrameName[]) => names.flatMap((name) => [frameOf(name, random), frameOf(name, random)]);
    const sessions = ["10.0.0.1:5000", "[2001:db8::1]:5000", "memory:0"].map((local) => ({
      local,
      client: make(by("client", "both")),
      server: make(by("server", "both")),
    }));
    await captured(sessions, async (file) => {
      const { frames, malformed, tcp } = await dissect(file);
      assertEquals(malformed, []);
      // IPv6 has no checksum of its own.
      assertEquals(tcp, []);
      const sent = sessions.flatMap(({ client, server }) =>
        client.flatMap((frame, turn) => [frame, ...(server[turn] ? [server[turn]] : [])])
          .concat(server.slice(client.length)).map(told)
      );
      assertEquals(frames.map(({ type, stream, length }) => ({ type, stream, length })), sent);
    });
  },
});

Deno.test({
  name: "values are the ones that were sent, errors have their names",
  ignore: !hasTshark(),
  async fn() {
    const info = { type: "symlink", size: 2 ** 53 - 1, modified: 1_700_000_000_123, mode: 0o644, offset: 3 } as const;
    const client = [
      encodeMessage("GET", 1, {
        path: "/Báo cáo",
        offset: 5,
        length: null,
        algorithm: "sha256",
        prefix: bytesOf("\x01\xff"),
        options: 8,
        priority: 2,
      }, true),
      encodeMessage("GETS", 3, { algorithm: "none", limit: 7, options: 0, paths: ["/x", "", "/y"] }, true),
      encodeMessage("AUTH", 0, { method: "token", user: "an", data: bytesOf("secret") }),
    ];
    const server = [
      encodeMessage("INFO", 1, info),
      encodeMessage("ERROR", 3, { code: ERRORS.NO_SPACE.code, subject: "/x", detail: "full" }),
      encodeMessage("STORED", 5, {
        outcomes: [{ code: 0, detail: "" }, { code: ERRORS.EXISTS.code, detail: "there" }],
      }),
    ];
    await captured([{ client, server }], async (file) => {
      const text = await tshark(file, ["-O", "fsh", "-Y", "fsh"]);
      for (
        const line of [
          "path: /Báo cáo",
          "offset: 5",
          "length: 18446744073709551615 (not known)",
          "algorithm: sha256",
          "prefix: 01c3bf",
          "options: 8",
          "priority: 2",
          "type: symlink (2)",
          "size: 9007199254740991",
          "modified: 1700000000123 (2023-11-14T22:13:20.123Z)",
          "mode: 0644",
          "code: NO_SPACE (106)",
          "code: EXISTS (101)",
          "code: none (0)",
          "detail: there",
          "paths: 3",
          "paths: /y",
          "data: 000000000000",
          "FSH/1 ERROR, stream 3: NO_SPACE",
        ]
      ) assertStringIncludes(text, line);
      assertEquals(text.includes("Malformed"), false);
    });
  },
});

/** Frames that no peer may send, and what is wrong with each. */
function wrongFrames(): Readonly<Record<string, Uint8Array>> {
  const stat = encodeMessage("STAT", 1, { path: "/abc" }, true);
  const info = encodeMessage("INFO", 1, { type: "file", size: 1, modified: 0, mode: 0, offset: 0 });
  const changed = (frame: Uint8Array, ...changes: [number, number][]) => {
    const copy = frame.slice();
    for (const [at, byte] of changes) copy[HEADER_BYTES + at] = byte;
    fixCrc(copy);
    return copy;
  };
  const cut = (frame: Uint8Array, bytes: number) => {
    const short = frame.slice(0, frame.length - bytes);
    fixCrc(short);
    return short;
  };
  const file = {
    path: "/a",
    code: 0,
    size: 4,
    modified: 0,
    mode: 0,
    digest: new Uint8Array(),
    content: bytesOf("four"),
  };
  const files = encodeMessage("FILES", 1, { files: [file] });
  const ping = { type: FRAMES.PING.code, payload: new Uint8Array(8) };
  return {
    "bytes are left over": changed(joined(stat, new Uint8Array(1))),
    "goes beyond the end": cut(stat, 1),
    "path is not UTF-8": changed(stat, [2, 0xc0]),
    "path is too long": changed(stat, [0, 0x11]),
    "size is out of range": changed(info, [1, 1]),
    "modified is out of range": changed(info, [9, 0x40]),
    "mode is out of range": changed(info, [17, 1]),
    "type is out of range": changed(info, [0, 4]),
    "has not as many bytes": changed(files, [2 + 2 + 2 + 2 + 7, 5]),
    "too many items": rawFrame({
      type: FRAMES.GETS.code,
      stream: 1,
      flags: 1,
      payload: changed(gets(), [11, 0xff]).slice(16),
    }),
    "a flag that it can't have": rawFrame({ ...ping, flags: 1 }),
    "reserved bits are set": rawFrame({ ...ping, reserved: 1 }),
    "belongs to the session": rawFrame({ ...ping, stream: 1 }),
    "belongs to a stream": rawFrame({ type: FRAMES.STAT.code, flags: 1, payload: stat.slice(HEADER_BYTES) }),
    "is said not to be there": rawFrame({ type: FRAMES.DATA.code, stream: 1, flags: 2, crc: 5 }),
    "a type that is not known": rawFrame({ type: 0xfe, payload: new Uint8Array(3) }),
    "longer than its type allows": rawFrame({ ...ping, payload: new Uint8Array(9) }),
  };
}

function gets(): Uint8Array {
  return encodeMessage("GETS", 1, { algorithm: "none", limit: 7, options: 0, paths: [] }, true);
}

Deno.test({
  name: "what is malformed is marked, and says why; what comes before and after is not",
  ignore: !hasTshark(),
  async fn() {
    const wrong = wrongFrames();
    const ping = encodeMessage("PING", 0, { nonce: 1 });
    const sessions = Object.values(wrong).map((frame) => ({ client: [ping, frame], server: [ping, ping] }));
    await captured(sessions, async (file) => {
      const text = await tshark(file, ["-O", "fsh", "-Y", "fsh.malformed"]);
      const reasons = [...text.matchAll(/\[Expert Info \(Error\/Malformed\): (.*)\]/g)].map(([, reason]) =>
        reason ?? ""
      );
      assertEquals(reasons.length, Object.keys(wrong).length, reasons.join("\n"));
      for (const [i, reason] of Object.keys(wrong).entries()) assertStringIncludes(reasons[i] ?? "", reason);
    });
  },
});

Deno.test({
  name: "a session over the memory transport, with large and compressed frames, is one of nowhere's addresses",
  ignore: !hasTshark(),
  async fn() {
    const file = await Deno.makeTempFile({ prefix: "fsh-", suffix: ".pcap" });
    try {
      await using running = await RunningServer.start();
      await store(running.storage, "/a", pattern(1_500_000));
      const warnings: string[] = [];
      const tracer = await Tracer.open({ pcap: file, limit: 2 ** 30, content: 0, warn: (text) => warnings.push(text) });
      const transport = tracer.over(running.transport);
      const client = await Client.connect({ hostname: "memory", port: running.server.port }, { transport });
      await client.get("/a", { compress: "always", open: () => () => {} });
      await client.get("/a", { compress: "never", open: () => () => {} });
      await client.close();
      await tracer.close();
      assertEquals(warnings, []);
      const { frames, malformed, tcp } = await dissect(file);
      assertEquals([malformed, tcp], [[], []]);
      const data = frames.filter(({ type }) => type === FRAMES.DATA.code);
      assertEquals(data.some(({ length }) => length < 100_000) && data.some(({ length }) => length > 500_000), true);
      assertStringIncludes(await tshark(file, ["-c", "1"]), "192.0.2.1");
    } finally {
      await Deno.remove(file);
    }
  },
});
