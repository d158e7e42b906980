/**
 * What the kernel knows of a TCP connection: `struct tcp_info` of linux/tcp.h, as tcp(7) gives it for TCP_INFO. Times are
 * in milliseconds, to the microsecond where the kernel has them so; sizes are in bytes unless something else is said.
 */
export interface TcpInfo {
  /** See TCP_STATES. */
  readonly state: TcpState;
  /** Timeouts in a row for which what was sent last has been sent again; 0: all is well. */
  readonly retransmitsInRow: number;
  /** Probes (keepalive, or of a closed window) that nobody has answered so far. */
  readonly probes: number;
  /** Powers of two of the window's scale (RFC 7323): of what the peer offers, and of what is offered here. */
  readonly sendScale: number;
  readonly receiveScale: number;
  /** The retransmission timeout. */
  readonly rto: number;
  /** Largest segments that are sent, and that the peer seems to send. */
  readonly sendMss: number;
  readonly receiveMss: number;
  /** Segments under way that nobody has acknowledged. Of a listening socket: connections that wait to be accepted. */
  readonly unacked: number;
  /** Segments that were acknowledged out of order. Of a listening socket: how many may wait (its backlog). */
  readonly sacked: number;
  /** Segments that count as lost now, and those that are under way for another time. */
  readonly lost: number;
  readonly retransmitting: number;
  /** Since data was last sent, data last came, an acknowledgement last came. */
  readonly sinceDataSent: number;
  readonly sinceDataReceived: number;
  readonly sinceAckReceived: number;
  readonly pathMtu: number;
  /** The smoothed round trip and its deviation, as the sender sees them; 0: nothing was sent so far. */
  readonly rtt: number;
  readonly rttvar: number;
  /** The shortest round trip of late; null: none was measured. */
  readonly minRtt: number | null;
  /** The round trip as the receiver sees it; 0: not known. */
  readonly receiveRtt: number;
  /** The congestion window, and where its slow start ends, in segments; null: that is open so far. */
  readonly cwnd: number;
  readonly ssthresh: number | null;
  /** How much the receiver lets be under way, as it adapts it. */
  readonly receiveSpace: number;
  /** Segments that were sent again in all, and bytes. */
  readonly totalRetransmits: number;
  readonly bytesRetransmitted: number;
  /** Bytes per second at which data is paced; null: not at all. */
  readonly pacingRate: number | null;
  /** Bytes per second at which data arrived at the peer, as last measured. */
  readonly deliveryRate: number;
  /** Whether the sender had too little to send for that rate to be the path's. */
  readonly deliveryRateAppLimited: boolean;
  readonly bytesSent: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly segmentsSent: number;
  readonly segmentsReceived: number;
  readonly dataSegmentsSent: number;
  readonly dataSegmentsReceived: number;
  /** Bytes in the send buffer that were not sent so far. */
  readonly notSent: number;
  /** How long there was data on its way, and how much of that the peer's window or the send buffer held it up. */
  readonly busyTime: number;
  readonly rwndLimited: number;
  readonly sndbufLimited: number;
  /** The window that the peer offers now. */
  readonly sendWindow: number;
}

/** include/net/tcp_states.h, by number; index 0 is none. */
export const TCP_STATES = [
  "UNKNOWN",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECV",
  "FIN_WAIT1",
  "FIN_WAIT2",
  "TIME_WAIT",
  "CLOSE",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "CLOSING",
  "NEW_SYN_RECV",
] as const;

export type TcpState = typeof TCP_STATES[number];

/** Bytes of the structure up to its last field that is used here, as it is since Linux 5.4. */
export const TCP_INFO_SIZE = 232;

const NEVER = 0x7fffffff; // TCP_INFINITE_SSTHRESH of include/net/tcp.h
const UNKNOWN = 0xffffffff;

/** The structure as `getsockopt` filled it in; null where an older kernel gave less than TCP_INFO_SIZE bytes. */
export function parseTcpInfo(bytes: Uint8Array): TcpInfo | null {
  if (bytes.length < TCP_INFO_SIZE) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u8 = (at: number) => view.getUint8(at);
  const u32 = (at: number) => view.getUint32(at, true);
  // Beyond 2^53 only where a field says "no limit", in all bits.
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const us = (at: number) => u32(at) / 1000;
  const us64 = (at: number) => u64(at) / 1000;
  const pacing = view.getBigUint64(104, true);
  return {
    state: TCP_STATES[u8(0)] ?? "UNKNOWN",
    retransmitsInRow: u8(2),
    probes: u8(3),
    sendScale: u8(6) & 0x0f,
    receiveScale: u8(6) >> 4,
    deliveryRateAppLimited: (u8(7) & 1) === 1,
    rto: us(8),
    sendMss: u32(16),
    receiveMss: u32(20),
    unacked: u32(24),
    sacked: u32(28),
    lost: u32(32),
    retransmitting: u32(36),
    // These three are milliseconds already.
    sinceDataSent: u32(44),
    sinceDataReceived: u32(52),
    sinceAckReceived: u32(56),
    pathMtu: u32(60),
    rtt: us(68),
    rttvar: us(72),
    ssthresh: u32(76) >= NEVER ? null : u32(76),
    cwnd: u32(80),
    receiveRtt: us(92),
    receiveSpace: u32(96),
    totalRetransmits: u32(100),
    pacingRate: pacing === 0n || pacing === 2n ** 64n - 1n ? null : Number(pacing),
    bytesAcked: u64(120),
    bytesReceived: u64(128),
    segmentsSent: u32(136),
    segmentsReceived: u32(140),
    notSent: u32(144),
    minRtt: u32(148) === UNKNOWN ? null : us(148),
    dataSegmentsReceived: u32(152),
    dataSegmentsSent: u32(156),
    deliveryRate: u64(160),
    busyTime: us64(168),
    rwndLimited: us64(176),
    sndbufLimited: us64(184),
    bytesSent: u64(200),
    bytesRetransmitted: u64(208),
    sendWindow: u32(228),
  };
}
