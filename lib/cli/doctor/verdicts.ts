import { formatBytes } from "../values.ts";
import type { BufferUse, CpuUse, Measures } from "./measures.ts";
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

export function tooBusy(cpu: CpuUse, ms: number): Verdict {
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

/** `part` of the time, 0 to 1. */
export function ownDisk(part: number): Verdict {
  return {
    bottleneck: "disk",
    where: "here",
    why: `for ${percent(Math.min(1, part))} of the time fsh waited until the disk of this machine had taken what came`,
    advice: ["another disk or folder; see fsh doctor without a URL for what this one takes"],
  };
}

export function serversDisk(again: number): Verdict {
  return {
    bottleneck: "disk",
    where: "there",
    why: `the same bytes came at ${formatRate(again)} when the server had them in memory already`,
    advice: ["a faster disk for the served folder, or more memory, so that files stay in the cache"],
  };
}

export function network(measures: Measures): Verdict {
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
export function server(measures: Measures): Verdict {
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

export function slowFlush(flush: number, rate: number): Verdict {
  return {
    bottleneck: "disk",
    where: "there",
    why: `the way takes ${formatRate(rate)}, but the server's disk had a file only at ${formatRate(flush)}`,
    advice: [
      "a faster disk for the served folder; serve --durability none, if what a crash of the server loses can be put again",
    ],
  };
}

export function narrowBuffer(which: "send" | "receive", { bytes, fixed }: BufferUse, { rate, tcp }: Measures): Verdict {
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

export function narrowPeer(window: number, { rate, tcp }: Measures): Verdict {
  return {
    bottleneck: "window",
    where: "there",
    why: `the server's receive window of ${formatBytes(window)} carries ${formatRate(rate)} over a round trip of ` +
      `${time(tcp?.minRtt ?? 0)}, whatever the network could`,
    advice: ["on the server: serve without --recv-buffer, and sysctl net.ipv4.tcp_rmem (its third number)"],
  };
}

export function narrowStream(window: number, { rate, ping }: Measures): Verdict {
  return {
    bottleneck: "window",
    where: "between",
    why: `a stream's window of ${formatBytes(window)} carries ${formatRate(rate)} over a round trip of ` +
      `${time(ping.shortest ?? 0)}`,
    advice: ["several files at once over several connections: get or put with --jobs 4"],
  };
}
