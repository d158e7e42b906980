import type { BufferUse, CpuUse, Measures } from "./measures.ts";
import { formatBytes } from "../values.ts";
import { formatRate, percent, time } from "./words.ts";

/** What a transfer waited for most. */
export type Bottleneck = "cpu" | "disk" | "window" | "network" | "server" | "unknown";

export interface Verdict {
  readonly bottleneck: Bottleneck;
  /** Where it is. */
  readonly where: "here" | "there" | "between" | null;
  /** What shows it. */
  readonly why: string;
  /** What to change, the most promising first. */
  readonly advice: readonly string[];
}

/** Fewer bytes say nothing. */
const LEAST = 256 * 1024;
/** From this part on of what there was (of the CPU, of the time in which something was sent), all of it is in use. */
const BUSY = 0.75;
/** From this part on of the time, something is what it waited for. */
const MOSTLY = 0.5;
/** With less of a CPU than this, others want it as well. */
const CONTENDED = 0.6;
/** Unread bytes that show that this program is slower than what comes; a turn of the CPU late, there are always some. */
const BACKLOG = 512 * 1024;
/** On a shorter round trip, in milliseconds, a window is not what limits: it is too wide for that, or says something else. */
const FAR = 2;
/** A receive window grows no further, in bytes: see session/receive_window.ts. */
export const MOST_WINDOW = 64 * 1024 * 1024;

/** Finds what a transfer waited for. */
export function judge(measures: Measures): Verdict {
  if (measures.bytes < LEAST) {
    return {
      bottleneck: "unknown",
      where: null,
      why: `${formatBytes(measures.bytes)} in ${time(measures.ms)} are too few to tell`,
      advice: measures.direction === "get" ? ["name a larger file"] : [],
    };
  }
  const { flush, rate } = measures;
  // However busy the CPU is: a put is done only once the server's disk is.
  if (flush !== null && flush < rate / 3) return slowFlush(flush, rate);
  return ownCpu(measures) ?? (measures.direction === "get" ? judgeGet(measures) : judgePut(measures));
}

/** Whether this program used what it could have of one CPU: other programs run as well. */
function ownCpu(measures: Measures): Verdict | null {
  const { cpu, ms } = measures;
  if (cpu === null) return null;
  const load = cpu.run / (cpu.share * ms);
  if (cpu.share >= CONTENDED) return load >= BUSY ? tooBusy(cpu, ms) : null;
  // Waiting for the CPU alone says little: whoever waits for packets waits for it, too, each time, and misses none.
  const waited = cpu.wanted >= BUSY * ms && load >= 0.4;
  return (load >= BUSY || waited) && !isWaitedFor(measures) ? tooBusy(cpu, ms) : null;
}

/** Whether this program was done with all that had come, or had all on its way that it could send. */
function isWaitedFor({ direction, tcp, ms }: Measures): boolean {
  if (tcp === null) return false;
  return direction === "get" ? tcp.unread !== null && tcp.unread < BACKLOG : tcp.busy >= 0.9 * ms;
}

function tooBusy(cpu: CpuUse, ms: number): Verdict {
  const had =
    `fsh ran for ${percent(cpu.run / ms)} of the time, would have for ${percent(Math.min(1, cpu.wanted / ms))}, ` +
    `and gets ${percent(cpu.share)} of a CPU`;
  const host = cpu.stolen > 0.1 ? `; the host of this virtual machine took ${percent(cpu.stolen)}` : "";
  return {
    bottleneck: "cpu",
    where: "here",
    why: `${had}; all CPUs together were idle for ${percent(cpu.idle)}${host}`,
    advice: cpu.share < 0.7
      ? ["end or slow down other programs (nice, renice), or let fsh have a CPU of its own (taskset)"]
      : [
        "several files at once over several connections: get or put with --jobs 2, if there are CPUs to spare",
        "--checksum crc32 rather than sha256, fsh:// rather than fshs:// where the network is trusted",
      ],
  };
}

function judgeGet(measures: Measures): Verdict {
  const { diskWait, ms, tcp, rate, ping, again } = measures;
  if (diskWait / ms >= MOSTLY) {
    return {
      bottleneck: "disk",
      where: "here",
      why: `for ${percent(diskWait / ms)} of the time fsh waited until the disk of this machine had taken what came`,
      advice: ["another disk or folder; see fsh doctor without a URL for what this one takes"],
    };
  }
  if (tcp && isNarrow(tcp.receiveBuffer, rate, tcp.minRtt)) return narrowBuffer("receive", tcp.receiveBuffer, measures);
  if (fills(MOST_WINDOW, rate, ping.shortest)) return narrowStream(MOST_WINDOW, measures);
  if (again !== null && isServersDisk(again, measures)) {
    return {
      bottleneck: "disk",
      where: "there",
      why: `the same bytes came at ${formatRate(again)} when the server had them in memory already`,
      advice: ["a faster disk for the served folder, or more memory, so that files stay in the cache"],
    };
  }
  return queues(measures) && !measures.sameMachine ? network(measures) : server(measures);
}

/** Whether the same bytes came that much faster once more, without going to the disk here, that it was the server's disk. */
function isServersDisk(again: number, { rate, diskWait, cpu, ms }: Measures): boolean {
  const alone = rate * ms / Math.max(ms - diskWait, ms / 10);
  // Where the CPUs are busy, one trial is not like the other.
  return again >= (cpu !== null && cpu.wanted >= MOSTLY * ms ? 5 : 1.7) * alone;
}

function judgePut(measures: Measures): Verdict {
  const { tcp, rate, ping, flush, streamWindow, ms, sameMachine } = measures;
  if (tcp) {
    const { minRtt, sendBuffer, peerWindow } = tcp;
    if (isNarrow(sendBuffer, rate, minRtt)) return narrowBuffer("send", sendBuffer, measures);
    if (tcp.bufferLimited / ms >= MOSTLY) return narrowBuffer("send", sendBuffer, measures);
    if (tcp.peerLimited / ms >= MOSTLY) {
      if (fills(peerWindow, rate, minRtt)) return narrowPeer(peerWindow, measures);
      return server(measures);
    }
  }
  if (flush !== null && flush < 0.8 * rate) return slowFlush(flush, rate);
  // Without the system's word, what queues on the way tells; within one machine there is none.
  const sending = tcp === null ? queues(measures) : tcp.busy / ms >= BUSY;
  if (sending && !sameMachine) return network(measures);
  if (fills(streamWindow, rate, ping.shortest)) return narrowStream(streamWindow, measures);
  return server(measures);
}

/** Whether a buffer that does not grow holds just what goes in a round trip: about half of it is for the kernel's needs. */
function isNarrow(buffer: BufferUse, rate: number, rtt: number): boolean {
  return buffer.fixed !== null && rtt >= FAR && rate * rtt / 1000 >= 0.25 * buffer.bytes;
}

/** Whether a window is used up within a round trip, in milliseconds. */
function fills(window: number, rate: number, rtt: number | null): boolean {
  return rtt !== null && rtt >= FAR && window > 0 && rate * rtt / 1000 >= 0.45 * window;
}

/**
 * Whether bytes queue on the way, in front of the answer to a PING: then the sender had more than the way took. A sender
 * that waits for its own disk has nothing in its socket.
 */
function queues({ ping, rate, tcp }: Measures): boolean {
  const { idle, loaded } = ping;
  if (idle === null || loaded === null) return true;
  const late = loaded - idle;
  if (late >= 5 && late * rate / 1000 >= 256 * 1024) return true;
  return tcp !== null && tcp.rtt >= 2 * tcp.minRtt + 5;
}

function network(measures: Measures): Verdict {
  const { tcp, rate, ping } = measures;
  const loss = tcp !== null && tcp.segmentsSent > 100 ? tcp.retransmits / tcp.segmentsSent : 0;
  const queue = ping.idle !== null && ping.loaded !== null && ping.loaded > ping.idle
    ? `; a PING took ${time(ping.loaded)} instead of ${time(ping.idle)}, behind what queues on the way`
    : "";
  const lost = loss > 0 ? `; ${percent(loss)} of the segments were sent again` : "";
  return {
    bottleneck: "network",
    where: "between",
    why: `the way takes no more than ${formatRate(rate)}: both ends were ready for more${queue}${lost}`,
    advice: [
      ...(loss > 0.005
        ? [
          "look for what loses packets (a cable, radio, a full queue); on long ways the congestion control bbr copes " +
          "best with it: sysctl net.ipv4.tcp_congestion_control=bbr on the sending side",
        ]
        : []),
      "send less: --compress always for what shrinks, --update or fsh verify for what is there already",
    ],
  };
}

/** Neither this side nor the way. */
function server(measures: Measures): Verdict {
  const { direction, ping, rate, tcp, cpu, ms, again, sameMachine } = measures;
  // Both run here. Of a get it is known only once the same bytes have come again.
  const all = direction === "put" || again !== null;
  if (sameMachine && all && cpu !== null && cpu.idle < 0.1) return tooBusy(cpu, ms);
  const where = "there";
  if (direction === "get") {
    return {
      bottleneck: "server",
      where,
      why: `what came was taken at once, and nothing queued on the way: ${formatRate(rate)} is what the server gives`,
      advice: ["look at the server's CPUs and disk (top, iostat), its --limit-rate, and its plugins"],
    };
  }
  const late = ping.loaded === null || ping.idle === null ? 0 : ping.loaded - ping.idle;
  // With nothing in the sender's socket, only the server's own slowness can hold a PING up.
  if (late >= 20 && (tcp === null || tcp.rtt < late / 2)) {
    return {
      bottleneck: "cpu",
      where,
      why: `the server took ${formatRate(rate)} and no more, and took ${time(late)} longer than before for a PING`,
      advice: ["look at the server's CPUs (top), and its plugins that check content"],
    };
  }
  return {
    bottleneck: "server",
    where,
    why: `the server took ${formatRate(rate)} and no more, though it answered PINGs at once`,
    advice: ["look at the server's disk (iostat), its --limit-rate, and its plugins"],
  };
}

function slowFlush(flush: number, rate: number): Verdict {
  return {
    bottleneck: "disk",
    where: "there",
    why: `the way takes ${formatRate(rate)}, but the server's disk had a file only at ${formatRate(flush)}`,
    advice: [
      "a faster disk for the served folder; serve --durability none, if what a crash of the server loses can be put again",
    ],
  };
}

function narrowBuffer(which: "send" | "receive", { bytes, fixed }: BufferUse, { rate, tcp }: Measures): Verdict {
  const rtt = tcp?.minRtt ?? 0;
  const option = which === "send" ? "--send-buffer" : "--recv-buffer";
  const [core, own] = which === "send" ? ["wmem_max", "tcp_wmem"] : ["rmem_max", "tcp_rmem"];
  return {
    bottleneck: "window",
    where: "here",
    why: `a ${which} buffer of ${formatBytes(bytes)} (about half of it for data) carries ${formatRate(rate)} ` +
      `over a round trip of ${time(rtt)}, whatever the network could`,
    advice: [
      ...(fixed === "asked" ? [`leave ${option} away: the kernel makes the buffer as large as the way needs it`] : []),
      `if the kernel's limit is in the way: sysctl net.ipv4.${own} (its third number), and net.core.${core} for ${option}`,
    ],
  };
}

function narrowPeer(window: number, { rate, tcp }: Measures): Verdict {
  return {
    bottleneck: "window",
    where: "there",
    why: `the server's receive window of ${formatBytes(window)} carries ${formatRate(rate)} over a round trip of ` +
      `${time(tcp?.minRtt ?? 0)}, whatever the network could`,
    advice: ["on the server: serve without --recv-buffer, and sysctl net.ipv4.tcp_rmem (its third number)"],
  };
}

function narrowStream(window: number, { rate, ping }: Measures): Verdict {
  return {
    bottleneck: "window",
    where: "between",
    why: `a stream's window of ${formatBytes(window)} carries ${formatRate(rate)} over a round trip of ` +
      `${time(ping.shortest ?? 0)}`,
    advice: ["several files at once over several connections: get or put with --jobs 4"],
  };
}
