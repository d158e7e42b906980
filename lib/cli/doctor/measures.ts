/** What a trial transfer has shown. Times are in milliseconds, rates in bytes per second. */
export interface Measures {
  readonly direction: "get" | "put";
  /** Bytes that went through, and how long it took. */
  readonly bytes: number;
  readonly ms: number;
  /** Once it was under way: the first third is left out. */
  readonly rate: number;
  readonly ping: PingTimes;
  /** Null where the system does not tell. */
  readonly cpu: CpuUse | null;
  /** How long the program waited for the disk of this machine; a put comes out of memory. */
  readonly diskWait: number;
  /** Null where the system does not tell. */
  readonly tcp: TcpUse | null;
  /** Bytes that the server lets be under way on a stream of a put, at its beginning. */
  readonly streamWindow: number;
  /** Get: the rate at which the same bytes came once more; null: not tried. */
  readonly again: number | null;
  /** Put: the rate at which the server had a file on its disk; null: not tried, or the server does not flush. */
  readonly flush: number | null;
  /** Both sides are one machine. */
  readonly sameMachine: boolean;
}

/** Medians of PING and its answer; null: none came. */
export interface PingTimes {
  /** While nothing else went on, and the shortest. */
  readonly idle: number | null;
  readonly shortest: number | null;
  readonly loaded: number | null;
}

export interface CpuUse {
  /** How long this program's own thread ran. */
  readonly run: number;
  /** How long its threads ran or waited for their turn, together. */
  readonly wanted: number;
  /** Part of a CPU that it could have had, 0 to 1. */
  readonly share: number;
  /** Of all CPUs together, 0 to 1: idle, and taken by the host of the virtual machine. */
  readonly idle: number;
  readonly stolen: number;
}

/** What TCP did on this side meanwhile. */
export interface TcpUse {
  /** Bytes that had come and this program had not read yet, in the median of the looks; null: not known. */
  readonly unread: number | null;
  /** The shortest round trip, and the median of the smoothed one. */
  readonly minRtt: number;
  readonly rtt: number;
  /** Bytes; at the end. */
  readonly congestionWindow: number;
  readonly segmentsSent: number;
  readonly retransmits: number;
  /** Of the time: something was on its way; and then the peer's window, or the send buffer, allowed no more. */
  readonly busy: number;
  readonly peerLimited: number;
  readonly bufferLimited: number;
  /** The largest window that the peer offered, in bytes. */
  readonly peerWindow: number;
  readonly sendBuffer: BufferUse;
  readonly receiveBuffer: BufferUse;
}

export interface BufferUse {
  /** As the kernel counts it, its own needs included. */
  readonly bytes: number;
  /** Whether the kernel makes it no larger: it was asked for so, or is as large as the system allows. */
  readonly fixed: "asked" | "system" | null;
}
