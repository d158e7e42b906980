/** Milliseconds for which the link waits for packets before it looks whether it is to end. */
const LOOK = 50;
const O_RDWR_NONBLOCK = 0o4002; // asm-generic/fcntl.h
const TUNSETIFF = 0x400454ca; // linux/if_tun.h
const IFF_TUN_NO_PI = 0x1001; // linux/if_tun.h: IFF_TUN | IFF_NO_PI
const POLLIN = 1; // poll(2)
const MTU = 1500;

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/**
 * Two network namespaces a long way apart: every packet between them takes longer, whatever TCP makes of it. Each has a
 * TUN device, and this process carries the packets. Needs root, ip(8) and /dev/net/tun.
 */
export class FarHosts implements AsyncDisposable {
  readonly serverAddress = "10.208.0.1";
  readonly clientAddress = "10.208.0.2";
  readonly #server = `fsh-fs-${Deno.pid}`;
  readonly #client = `fsh-fc-${Deno.pid}`;
  readonly #libc = Deno.dlopen("libc.so.6", SYMBOLS);
  readonly #ends: number[] = [];
  readonly #pumps: Promise<void>[] = [];
  #ended = false;

  static available(): boolean {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
    try {
      Deno.statSync("/dev/net/tun");
      const name = `fsh-probe-${Deno.pid}`;
      if (!new Deno.Command("ip", { args: ["netns", "add", name], stderr: "null" }).outputSync().success) return false;
      return new Deno.Command("ip", { args: ["netns", "del", name] }).outputSync().success;
    } catch {
      return false;
    }
  }

  /** `delay`: milliseconds each way. */
  static async create({ delay }: { delay: number }): Promise<FarHosts> {
    const hosts = new FarHosts();
    const ends = [[hosts.#server, hosts.serverAddress], [hosts.#client, hosts.clientAddress]] as const;
    for (const [name, address] of ends) {
      await ip("netns", "add", name);
      const device = hosts.#openDevice();
      await ip("link", "set", device, "netns", name, "mtu", `${MTU}`);
      await ip("-n", name, "address", "add", `${address}/24`, "dev", device);
      await ip("-n", name, "link", "set", device, "up");
      await ip("-n", name, "link", "set", "lo", "up");
    }
    const [near = -1, far = -1] = hosts.#ends;
    hosts.#pumps.push(hosts.#carry(near, far, delay), hosts.#carry(far, near, delay));
    return hosts;
  }

  /** The words before a command that run it on the server's host. */
  get onServer(): string[] {
    return ["ip", "netns", "exec", this.#server];
  }

  get onClient(): string[] {
    return ["ip", "netns", "exec", this.#client];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#pumps);
    // Delayed packets may still be on their way to a descriptor that is closed now; nobody else has its number before.
    for (const end of this.#ends) this.#libc.symbols.close(end);
    this.#libc.close();
    await ip("netns", "del", this.#server);
    await ip("netns", "del", this.#client);
  }

  /** A new device; answers its name. */
  #openDevice(): string {
    const { open, ioctl } = this.#libc.symbols;
    const descriptor = open(new TextEncoder().encode("/dev/net/tun\0"), O_RDWR_NONBLOCK);
    // struct ifreq (netdevice(7)): 16 bytes of name, then the flags.
    const request = new Uint8Array(40);
    request.set(new TextEncoder().encode("fshfar%d"));
    new DataView(request.buffer).setInt16(16, IFF_TUN_NO_PI, true);
    if (descriptor < 0 || ioctl(descriptor, BigInt(TUNSETIFF), request) !== 0) throw new Error("no TUN device");
    this.#ends.push(descriptor);
    return new TextDecoder().decode(request.subarray(0, request.indexOf(0)));
  }

  async #carry(from: number, to: number, delay: number): Promise<void> {
    const { poll, read, write } = this.#libc.symbols;
    const wish = new Uint8Array(8); // struct pollfd: int fd, short events, short revents
    const view = new DataView(wish.buffer);
    view.setInt32(0, from, true);
    view.setInt16(4, POLLIN, true);
    const room = new Uint8Array(MTU + 100);
    const under: { due: number; packet: Uint8Array<ArrayBuffer> }[] = [];
    const deliver = () => {
      for (let first; (first = under[0]) && first.due <= performance.now(); under.shift()) {
        write(to, first.packet, BigInt(first.packet.length));
      }
    };
    const timer = setInterval(deliver, 1);
    while (!this.#ended) {
      await poll(wish, 1n, LOOK);
      for (let length; (length = Number(read(from, room, BigInt(room.length)))) > 0;) {
        under.push({ due: performance.now() + delay, packet: room.slice(0, length) });
      }
      deliver();
    }
    clearInterval(timer);
  }
}

async function ip(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args }).output();
  if (!success) throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}
