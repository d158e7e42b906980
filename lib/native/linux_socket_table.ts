import type { SocketRow, SocketTable } from "./native.ts";

/** Descriptors that are looked at before others get a turn. */
const AT_ONE_GO = 256;
/** Units of time in /proc (proc(5)): USER_HZ, which is 100 on x86-64 and arm64. */
const USER_HZ = 100;

/** States of linux/include/net/tcp_states.h, in the words of ss(8); place is value. */
const STATES = [
  "",
  "ESTAB",
  "SYN-SENT",
  "SYN-RECV",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "TIME-WAIT",
  "UNCONN",
  "CLOSE-WAIT",
  "LAST-ACK",
  "LISTEN",
  "CLOSING",
];

/** Timers of Documentation/networking/proc_net_tcp.rst; place is value, the first means none. */
const TIMERS = [null, "retransmit", "keepalive", "time-wait", "window-probe"] as const;

const TABLES = [["tcp", "tcp"], ["tcp6", "tcp"], ["udp", "udp"], ["udp6", "udp"]] as const;

/** The sockets of this process, out of the tables of its network namespace in /proc/net. */
export class LinuxSocketTable implements SocketTable {
  async list(): Promise<SocketRow[]> {
    const own = await ownSockets();
    const rows: SocketRow[] = [];
    for (const [name, protocol] of TABLES) {
      const table = await Deno.readTextFile(`/proc/net/${name}`).catch((error) => {
        // A kernel without IPv6 has none.
        if (error instanceof Deno.errors.NotFound) return "";
        throw error;
      });
      for (const line of table.split("\n").slice(1)) {
        const found = parseSocketLine(line, protocol);
        if (found && own.has(found.inode)) rows.push(found.row);
      }
    }
    return rows;
  }
}

/** Inodes of the sockets that this process holds. */
async function ownSockets(): Promise<Set<number>> {
  const inodes = new Set<number>();
  let looked = 0;
  for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
    try {
      const { isSocket, ino } = Deno.statSync(`/proc/self/fd/${name}`);
      if (isSocket === true && ino !== null) inodes.add(ino);
    } catch {
      // Closed meanwhile.
    }
    if (++looked % AT_ONE_GO === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return inodes;
}

/**
 * One line of /proc/net/tcp, tcp6, udp or udp6 (proc(5), Documentation/networking/proc_net_tcp.rst): slot, local address,
 * remote address, state, `send:receive` queue, `timer:when`, retransmissions, uid, unanswered probes, inode, and more. All
 * numbers are hexadecimal but uid, probes and inode. Null for any other line.
 */
export function parseSocketLine(line: string, protocol: "tcp" | "udp"): { row: SocketRow; inode: number } | null {
  const [, local, remote, state, queues, timer, retransmits, , probes, inode] = line.trim().split(/\s+/);
  if (!local || !remote || !state || !queues || !timer || inode === undefined) return null;
  const [send = "", receive = ""] = queues.split(":");
  const [kind = "", when = ""] = timer.split(":");
  const nowhere = /^0+:0000$/.test(remote);
  const name = TIMERS[parseInt(kind, 16)] === undefined ? "other" : TIMERS[parseInt(kind, 16)];
  const row: SocketRow = {
    protocol,
    state: STATES[parseInt(state, 16)] ?? state,
    local: formatHexAddress(local),
    remote: nowhere ? null : formatHexAddress(remote),
    sendQueue: parseInt(send, 16),
    receiveQueue: parseInt(receive, 16),
    timer: name ? { name, seconds: parseInt(when, 16) / USER_HZ, count: counted(retransmits, probes) } : null,
  };
  return { row, inode: Number(inode) };
}

function counted(retransmits: string | undefined, probes: string | undefined): number {
  return parseInt(retransmits ?? "0", 16) || Number(probes ?? 0);
}

/** `0100007F:1CCE` as `127.0.0.1:7374`: each 32 bits of the address are in the order of the machine, the port is not. */
function formatHexAddress(text: string): string {
  const [hex = "", port = ""] = text.split(":");
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
  return `${formatBytes(bytes.map((byte) => parseInt(byte, 16)))}:${parseInt(port, 16)}`;
}

/** An IPv4 address in dots, an IPv6 one as RFC 5952 has it, in brackets. */
function formatBytes(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join(".");
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (mapped) return `[::ffff:${bytes.slice(12).join(".")}]`;
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(((bytes[at] ?? 0) << 8 | (bytes[at + 1] ?? 0)).toString(16));
  return new URL(`http://[${groups.join(":")}]/`).hostname;
}
