import { formatBytes } from "../values.ts";
import type { BufferUse, Measures } from "./measures.ts";
import {
  narrowBuffer,
  narrowPeer,
  narrowStream,
  network,
  ownDisk,
  server,
  serversDisk,
  slowFlush,
  tooBusy,
  type Verdict,
} from "./verdicts.ts";
import { time } from "./words.ts";

/** Fewer bytes say nothing. */
const LEAST = 256 * 1024;
/** From this part on of what there was (of the CPU, of the time in which something was sent), all of it is in use. */
const BUSY = 0.75;
/** As good as all of what there was, whatever speaks against it. */
const ALL = 0.9;
/** From this part on of the time, something is what it waited for. */
const MOSTLY = 0.5;
/** With less of a CPU than this, others want it as well. */
const CONTENDED = 0.6;
/** Unread bytes that show that this program is slower than what comes; a turn of the CPU late, there are always some. */
const BACKLOG = 256 * 1024;
/** On a shorter round trip, in milliseconds, a window is not what limits: it is too wide for that, or says something else. */
const FAR = 2;
/** A receive window grows no further, in bytes: see session/receive_window.ts. */
const MOST_WINDOW = 64 * 1024 * 1024;

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
  const { direction, cpu, ms, diskWait } = measures;
  if (cpu === null) return null;
  const load = cpu.run / (cpu.share * ms);
  if (cpu.share >= CONTENDED) return load >= BUSY ? tooBusy(cpu, ms) : null;
  const behind = isBehind(measures);
  if (behind === false) return load >= ALL ? tooBusy(cpu, ms) : null;
  // Waiting for the CPU alone says little: whoever waits for packets waits for it, too, each time, and misses none. And
  // where the share is small, it is little more than a guess. Bytes that lie there unread leave no doubt.
  const certain = behind === true && diskWait < MOSTLY * ms;
  const least = !certain ? 0.4 : direction === "put" ? 0.2 : 0;
  const waited = cpu.wanted >= BUSY * ms && load >= least;
  return load >= BUSY || waited ? tooBusy(cpu, ms) : null;
}

/** Whether more had come than this program took, or more could have gone than it gave; null: not known. */
function isBehind({ direction, tcp, ms }: Measures): boolean | null {
  if (tcp === null) return null;
  if (direction === "put") return tcp.busy < ALL * ms;
  return tcp.unread === null ? null : tcp.unread >= BACKLOG;
}

function judgeGet(measures: Measures): Verdict {
  const { diskWait, ms, tcp, rate, ping, again } = measures;
  if (diskWait / ms >= MOSTLY) return ownDisk(diskWait / ms);
  if (tcp && isNarrow(tcp.receiveBuffer, rate, tcp.minRtt)) return narrowBuffer("receive", tcp.receiveBuffer, measures);
  if (fills(MOST_WINDOW, rate, ping.shortest)) return narrowStream(MOST_WINDOW, measures);
  if (again !== null && isServersDisk(again, measures)) return serversDisk(again);
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
