import type { GrantedOptions } from "../../native/socket_tuning.ts";
import type { TcpInfo } from "../../native/tcp_info.ts";
import type { BufferUse, CpuUse, Measures, PingTimes, TcpUse } from "./measures.ts";
import type { Samples } from "./sampler.ts";

/** Largest buffers that the kernel makes by itself, in bytes (tcp(7): tcp_wmem, tcp_rmem); null: not known. */
export interface BufferLimits {
  readonly send: number | null;
  readonly receive: number | null;
}

export interface Circumstances {
  readonly direction: "get" | "put";
  /** PINGs of the idle session, in milliseconds. */
  readonly idlePings: readonly number[];
  /** See `CpuUse`. */
  readonly share: number | null;
  readonly diskWait: number;
  readonly streamWindow: number;
  readonly sameMachine: boolean;
  /** The buffers that were asked for, in bytes; null: none. */
  readonly asked: BufferLimits;
  readonly limits: BufferLimits;
}

/** What samples come to. */
export function measuresOf(samples: Samples, around: Circumstances): Measures {
  const { all, ms } = samples;
  const { direction, diskWait, streamWindow, sameMachine, idlePings } = around;
  const last = all.at(-1);
  return {
    direction,
    bytes: last?.bytes ?? 0,
    ms,
    rate: rateOf(samples),
    ping: pingTimes(idlePings, samples.pings),
    cpu: cpuUse(samples, around.share),
    diskWait,
    tcp: tcpUse(samples, around),
    streamWindow,
    again: null,
    flush: null,
    sameMachine,
  };
}

/** Bytes per second once it was under way: connections begin slowly, so the first third is left out. */
export function rateOf({ all, ms }: Samples): number {
  const last = all.at(-1);
  const first = all.find((sample) => sample.at >= ms / 3);
  if (!last || !first) return 0;
  // A handful of samples: all of it.
  if (last.at - first.at < 100) return last.at > 0 ? 1000 * last.bytes / last.at : 0;
  return 1000 * (last.bytes - first.bytes) / (last.at - first.at);
}

function pingTimes(idle: readonly number[], loaded: readonly number[]): PingTimes {
  return { idle: median(idle), shortest: idle.length === 0 ? null : Math.min(...idle), loaded: median(loaded) };
}

/** Null: there are none. */
export function median(numbers: readonly number[]): number | null {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? null;
}

function cpuUse({ thread, machine }: Samples, share: number | null): CpuUse | null {
  if (thread === null || share === null) return null;
  const all = machine === null ? 0 : machine.to.all - machine.from.all;
  const part = (ticks: (time: { idle: number; stolen: number }) => number) =>
    machine === null || all === 0 ? 0 : (ticks(machine.to) - ticks(machine.from)) / all;
  return {
    run: thread.to.run - thread.from.run,
    wanted: thread.to.wanted - thread.from.wanted,
    share,
    idle: machine === null || all === 0 ? 1 : part((time) => time.idle),
    stolen: part((time) => time.stolen),
  };
}

function tcpUse({ all }: Samples, around: Circumstances): TcpUse | null {
  const reports = all.flatMap(({ socket }) => socket ? [socket] : []);
  const [first, last] = [reports[0], reports.at(-1)];
  if (!first || !last) return null;
  const infos = reports.map(({ info }) => info);
  const part = (time: (info: TcpInfo) => number) => time(last.info) - time(first.info);
  return {
    unread: median(all.flatMap(({ unread }) => unread === null ? [] : [unread])),
    minRtt: Math.min(...infos.map(({ minRtt, rtt }) => minRtt ?? rtt)),
    rtt: median(infos.map(({ rtt }) => rtt)) ?? last.info.rtt,
    congestionWindow: last.info.cwnd * last.info.sendMss,
    segmentsSent: part((info) => info.dataSegmentsSent),
    retransmits: part((info) => info.totalRetransmits),
    busy: part((info) => info.busyTime),
    peerLimited: part((info) => info.rwndLimited),
    bufferLimited: part((info) => info.sndbufLimited),
    peerWindow: Math.max(...infos.map(({ sendWindow }) => sendWindow)),
    sendBuffer: bufferUse("sendBuffer", reports, { asked: around.asked.send, limit: around.limits.send }),
    receiveBuffer: bufferUse("receiveBuffer", reports, { asked: around.asked.receive, limit: around.limits.receive }),
  };
}

/** The kernel counts a buffer that grows by itself as it is; so one at the limit grows no more. */
function bufferUse(
  name: "sendBuffer" | "receiveBuffer",
  reports: readonly { readonly granted: GrantedOptions }[],
  { asked, limit }: { asked: number | null; limit: number | null },
): BufferUse {
  const bytes = Math.max(...reports.map(({ granted }) => granted[name]));
  const fixed = asked !== null ? "asked" : limit !== null && bytes >= 0.9 * limit ? "system" : null;
  return { bytes, fixed };
}
