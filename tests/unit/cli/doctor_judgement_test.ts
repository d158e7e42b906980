import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { judge } from "../../../lib/cli/doctor/judgement.ts";
import type { CpuUse, Measures, TcpUse } from "../../../lib/cli/doctor/measures.ts";

const MIB = 1024 * 1024;

/** A trial of a second over a network that is close by, of 100 MiB/s, in which nothing was short. */
function measures(
  changes: Partial<Omit<Measures, "tcp" | "cpu">> & { tcp?: Partial<TcpUse> | null; cpu?: Partial<CpuUse> | null },
): Measures {
  const { tcp = {}, cpu = {}, ...others } = changes;
  return {
    direction: "get",
    bytes: 100 * MIB,
    ms: 1000,
    rate: 100 * MIB,
    ping: { idle: 0.5, shortest: 0.4, loaded: 0.6 },
    diskWait: 50,
    streamWindow: 4 * MIB,
    again: null,
    flush: null,
    sameMachine: false,
    ...others,
    cpu: cpu && { run: 200, wanted: 300, share: 1, idle: 0.8, stolen: 0, ...cpu },
    tcp: tcp && {
      unread: 0,
      minRtt: 0.3,
      rtt: 0.4,
      congestionWindow: 100_000,
      segmentsSent: 10_000,
      retransmits: 0,
      busy: 200,
      peerLimited: 0,
      bufferLimited: 0,
      peerWindow: 4 * MIB,
      sendBuffer: { bytes: 4 * MIB, fixed: null },
      receiveBuffer: { bytes: 4 * MIB, fixed: null },
      ...tcp,
    },
  };
}

/** `bottleneck where` */
function found(changes: Parameters<typeof measures>[0]): string {
  const { bottleneck, where } = judge(measures(changes));
  return `${bottleneck} ${where}`;
}

const GET = { direction: "get" } as const;
const PUT = { direction: "put" } as const;
const FAR = { ping: { idle: 42, shortest: 41, loaded: 45 } };
const QUEUED = { ping: { idle: 0.5, shortest: 0.4, loaded: 40 } };
const SMALL = { bytes: 256 * 1024, fixed: "asked" } as const;

Deno.test("too few bytes say nothing", () => {
  assertEquals(found({ bytes: 100_000 }), "unknown null");
  assertEquals(judge(measures({ bytes: 100_000 })).advice, ["name a larger file"]);
});

Deno.test("the CPU is the bottleneck where this program used what it could have of it, whatever else there is", () => {
  const behind = { unread: 2 * MIB };
  for (const way of [GET, PUT]) {
    assertEquals(found({ ...way, cpu: { run: 900 } }), "cpu here");
    assertEquals(found({ ...way, cpu: { run: 220, share: 0.25 }, diskWait: 800, tcp: behind }), "cpu here");
    // It waits for its turn all the time, and is not far from what it could have.
    assertEquals(found({ ...way, cpu: { run: 120, share: 0.25, wanted: 900 }, tcp: behind }), "cpu here");
    assertEquals(found({ ...way, cpu: { run: 120, share: 0.25, wanted: 900 }, tcp: null }), "cpu here");
  }
  // It waits for its turn whenever a packet has come, and is done with it soon.
  assertEquals(found({ ...GET, ...QUEUED, cpu: { run: 80, share: 0.25, wanted: 900 }, tcp: null }), "network between");
  // Bytes that it has not read leave no doubt, unless it was the disk that it waited for.
  assertEquals(found({ ...GET, cpu: { run: 50, share: 0.25, wanted: 900 }, tcp: behind }), "cpu here");
  assertEquals(found({ ...GET, cpu: { run: 50, share: 0.25, wanted: 900 }, tcp: behind, diskWait: 900 }), "disk here");
  assertEquals(found({ ...GET, ...QUEUED, cpu: { run: 200, share: 0.25, wanted: 900 } }), "network between");
  assertEquals(found({ ...GET, ...QUEUED, cpu: { run: 240, share: 0.25, wanted: 900 } }), "cpu here");
  assertEquals(found({ ...PUT, cpu: { run: 200, share: 0.25, wanted: 900 }, tcp: { busy: 990 } }), "network between");
  assertStringIncludes(
    judge(measures({ cpu: { run: 220, share: 0.25 }, tcp: { unread: MIB } })).advice.join(),
    "taskset",
  );
  assertStringIncludes(judge(measures({ cpu: { run: 900 } })).advice.join(), "--jobs");
});

Deno.test("what the host of a virtual machine takes is said", () => {
  assertStringIncludes(judge(measures({ cpu: { run: 600, share: 0.7, stolen: 0.5 } })).why, "took 50%");
});

Deno.test("a get that waits for writing is held up by the disk here", () => {
  assertEquals(found({ ...GET, diskWait: 700 }), "disk here");
  assertEquals(found({ ...GET, ...QUEUED, diskWait: 300 }), "network between");
});

Deno.test("a get that is much faster out of the server's memory was held up by the server's disk", () => {
  assertEquals(found({ ...GET, again: 300 * MIB }), "disk there");
  assertEquals(found({ ...GET, again: 110 * MIB }), "server there");
  // It went to the disk here the first time.
  assertEquals(found({ ...GET, again: 190 * MIB, diskWait: 400 }), "server there");
  // With busy CPUs one trial is not like the other.
  assertEquals(found({ ...GET, again: 300 * MIB, cpu: { wanted: 900 } }), "server there");
});

Deno.test("bytes that queue in front of a PING's answer, or a round trip that grows, show the network", () => {
  assertEquals(found({ ...GET, ...QUEUED }), "network between");
  assertEquals(found({ ...GET, tcp: { minRtt: 1, rtt: 30 } }), "network between");
  assertEquals(found({ ...GET, tcp: null, ...QUEUED }), "network between");
  assertEquals(found({ ...GET, ping: { idle: null, shortest: null, loaded: null } }), "network between");
  assertEquals(found(GET), "server there");
});

Deno.test("within one machine there is no network to be short of", () => {
  assertEquals(found({ ...GET, ...QUEUED, sameMachine: true }), "server there");
  assertEquals(found({ ...PUT, tcp: { busy: 900 }, sameMachine: true }), "server there");
  assertEquals(found({ ...PUT, sameMachine: true, cpu: { idle: 0.02 } }), "cpu here");
  assertEquals(found({ ...GET, sameMachine: true, cpu: { idle: 0.02 }, again: 110 * MIB }), "cpu here");
});

Deno.test("a put whose bytes are always under way is held up by the network", () => {
  assertEquals(found({ ...PUT, tcp: { busy: 950 } }), "network between");
  assertEquals(found({ ...PUT, tcp: null, ...QUEUED }), "network between");
  const lossy = judge(measures({ ...PUT, tcp: { busy: 950, retransmits: 300 } }));
  assertStringIncludes(lossy.why, "3.0% of the segments");
  assertStringIncludes(lossy.advice.join(), "bbr");
});

Deno.test("a buffer that does not grow and holds a round trip's bytes is a window that is too small", () => {
  const slow = { ...FAR, rate: 3 * MIB };
  assertEquals(found({ ...GET, ...slow, tcp: { minRtt: 40, rtt: 41, receiveBuffer: SMALL } }), "window here");
  assertEquals(found({ ...PUT, ...slow, tcp: { minRtt: 40, rtt: 41, sendBuffer: SMALL, busy: 990 } }), "window here");
  const advice = judge(measures({ ...GET, ...slow, tcp: { minRtt: 40, receiveBuffer: SMALL } })).advice.join();
  assertStringIncludes(advice, "--recv-buffer");
  // One that the system lets grow no more.
  const full = { bytes: 256 * 1024, fixed: "system" } as const;
  const { bottleneck, advice: system } = judge(measures({ ...GET, ...slow, tcp: { minRtt: 40, receiveBuffer: full } }));
  assertEquals(bottleneck, "window");
  assertStringIncludes(system.join(), "tcp_rmem");
  assert(!system.join().includes("leave"));
  // The same buffer on a short round trip, or one that is not filled.
  assertEquals(found({ ...GET, ...QUEUED, rate: 8 * MIB, tcp: { receiveBuffer: SMALL } }), "network between");
  assertEquals(found({ ...GET, ...slow, tcp: { minRtt: 4, rtt: 30, receiveBuffer: SMALL } }), "network between");
});

Deno.test("a server that offers a small window, or does not read, is told from the network", () => {
  const far = { ...PUT, ...FAR, rate: 3 * MIB };
  assertEquals(
    found({ ...far, tcp: { minRtt: 40, peerLimited: 900, busy: 990, peerWindow: 128 * 1024 } }),
    "window there",
  );
  assertEquals(found({ ...PUT, tcp: { peerLimited: 900, busy: 990 } }), "server there");
});

Deno.test("a stream's window that is used up in a round trip is named", () => {
  assertEquals(
    found({ ...PUT, ping: { idle: 42, shortest: 40, loaded: 45 }, streamWindow: 4 * MIB }),
    "window between",
  );
  assertEquals(found({ ...GET, ping: { idle: 410, shortest: 400, loaded: 430 } }), "window between");
});

Deno.test("a put that the server has on its disk much later is held up by that", () => {
  assertEquals(found({ ...PUT, tcp: { busy: 950 }, flush: 20 * MIB }), "disk there");
  assertEquals(found({ ...PUT, tcp: { busy: 950 }, flush: 200 * MIB }), "network between");
  // With a busy CPU only where there is no doubt: it holds up what is flushed as well.
  assertEquals(found({ ...PUT, cpu: { run: 900 }, flush: 20 * MIB }), "disk there");
  assertEquals(found({ ...PUT, cpu: { run: 900 }, flush: 60 * MIB }), "cpu here");
});

Deno.test("a server that takes no more and is slow to answer has a busy CPU", () => {
  assertEquals(found({ ...PUT, ping: { idle: 1, shortest: 0.5, loaded: 60 } }), "cpu there");
  assertEquals(found({ ...PUT, ping: { idle: 1, shortest: 0.5, loaded: 3 } }), "server there");
});
