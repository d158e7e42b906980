// A long wire between two hosts of this machine: `far_link.ts MILLISECONDS NAMESPACE ADDRESS NAMESPACE ADDRESS`, the time
// being each way. Unlike a relay of connections it leaves TCP to both ends, so that windows and buffers meet the round
// trip. It joins two network namespaces by a TUN device each, carries the packets and says `up` when it does. Needs root.

const libc = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
}).symbols;

const O_RDWR_NONBLOCK = 0o4002; // asm-generic/fcntl.h
const TUNSETIFF = 0x400454ca; // linux/if_tun.h
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const POLLIN = 1; // poll.h
/** Bytes of a packet: large ones, so that this program is not what is measured. */
const MTU = 9000;
/** Packets that may be under way in one direction: more than any window. */
const MOST = 20_000;

interface End {
  readonly fd: number;
  /** Packets on their way to this end, and when each arrives. */
  readonly coming: { readonly packet: Uint8Array<ArrayBuffer>; readonly due: number }[];
}

function ip(...args: string[]): void {
  const { success, stderr } = new Deno.Command("ip", { args }).outputSync();
  if (!success) throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** Makes a device, hands it to a namespace, and gives it an address there. */
function makeEnd(name: string, namespace: string, address: string): End {
  const fd = libc.open(new TextEncoder().encode("/dev/net/tun\0"), O_RDWR_NONBLOCK);
  // struct ifreq (netdevice(7)): 16 bytes of name, then the flags; 40 bytes in all.
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode(name));
  new DataView(request.buffer).setUint16(16, IFF_TUN | IFF_NO_PI, true);
  if (fd < 0 || libc.ioctl(fd, BigInt(TUNSETIFF), request) !== 0) throw new Error(`no TUN device ${name}`);
  ip("link", "set", name, "netns", namespace);
  ip("-n", namespace, "address", "add", `${address}/24`, "dev", name);
  ip("-n", namespace, "link", "set", name, "mtu", String(MTU), "txqueuelen", "10000", "up");
  return { fd, coming: [] };
}

const buffer = new Uint8Array(MTU);

/** Takes all packets that wait at one end and sends them on their way to the other. */
function take(from: End, to: End, delay: number): void {
  for (;;) {
    const length = Number(libc.read(from.fd, buffer, BigInt(buffer.length)));
    if (length <= 0) return;
    if (to.coming.length < MOST) to.coming.push({ packet: buffer.slice(0, length), due: performance.now() + delay });
  }
}

/** Delivers what has arrived; answers when the next packet does. */
function deliver({ fd, coming }: End): number {
  const now = performance.now();
  let arrived = 0;
  for (const { packet, due } of coming) {
    if (due > now) break;
    libc.write(fd, packet, BigInt(packet.length));
    arrived++;
  }
  coming.splice(0, arrived);
  return coming[0]?.due ?? Infinity;
}

const [delay = "20", namespace = "", address = "", other = "", otherAddress = ""] = Deno.args;
const ends = [
  makeEnd(`far-a-${Deno.pid}`, namespace, address),
  makeEnd(`far-b-${Deno.pid}`, other, otherAddress),
] as const;
console.log("up");
// struct pollfd (poll(2)): int fd, short events, short revents.
const waiting = new Uint8Array(16);
const view = new DataView(waiting.buffer);
ends.forEach(({ fd }, i) => {
  view.setInt32(8 * i, fd, true);
  view.setInt16(8 * i + 4, POLLIN, true);
});
for (;;) {
  const next = Math.min(...ends.map(deliver)) - performance.now();
  await libc.poll(waiting, 2n, Math.max(0, Math.min(1000, Math.ceil(next))));
  take(ends[0], ends[1], Number(delay));
  take(ends[1], ends[0], Number(delay));
}
