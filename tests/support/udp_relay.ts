/** What happens to datagrams on their way. */
export interface RelayOptions {
  /** Milliseconds that every datagram takes longer each way. */
  readonly delay?: number;
}

/**
 * A UDP relay on loopback, for one client at a time. Like a router that has forgotten who is who, it can go on by another
 * address towards the server; and it can swallow whatever passes.
 */
export class UdpRelay implements Disposable {
  readonly #near = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  readonly #target: Deno.NetAddr;
  readonly #delay: number;
  #far: Deno.DatagramConn;
  #client: Deno.Addr | null = null;
  readonly #work: Promise<void>[] = [];
  readonly #timers = new Set<number>();
  #closed = false;
  /** Whether datagrams are lost. */
  swallows = false;
  /** Bytes that have passed towards each side. */
  readonly passed = { client: 0, server: 0 };

  constructor(port: number, { delay = 0 }: RelayOptions = {}) {
    this.#target = { transport: "udp", hostname: "127.0.0.1", port };
    this.#delay = delay;
    this.#far = this.#open();
    this.#work.push(this.#relay(this.#near));
  }

  get port(): number {
    return this.#near.addr.transport === "udp" ? this.#near.addr.port : 0;
  }

  /** The server hears from another port from now on, and what it sends to the old one is lost. */
  move(): void {
    const old = this.#far;
    this.#far = this.#open();
    old.close();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#near.close();
    this.#far.close();
  }

  /** Resolves when nothing goes on any more. */
  async ended(): Promise<void> {
    await Promise.all(this.#work);
  }

  #open(): Deno.DatagramConn {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    this.#work.push(this.#relay(socket));
    return socket;
  }

  async #relay(socket: Deno.DatagramConn): Promise<void> {
    const fromClient = socket === this.#near;
    const buffer = new Uint8Array(65_536);
    for (;;) {
      try {
        const [datagram, sender] = await socket.receive(buffer);
        if (fromClient) this.#client = sender;
        if (this.swallows) continue;
        this.passed[fromClient ? "server" : "client"] += datagram.length;
        if (this.#delay === 0) await this.#send(datagram, fromClient);
        else this.#later(datagram.slice(), fromClient);
      } catch {
        // Closed; or the other side's system has said that nobody is there, which a router would not tell.
        if (this.#closed || (socket !== this.#near && socket !== this.#far)) return;
      }
    }
  }

  async #send(datagram: Uint8Array, fromClient: boolean): Promise<void> {
    if (fromClient) await this.#far.send(datagram, this.#target);
    else if (this.#client) await this.#near.send(datagram, this.#client);
  }

  #later(datagram: Uint8Array, fromClient: boolean): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#send(datagram, fromClient).catch(() => {});
    }, this.#delay);
    this.#timers.add(timer);
  }
}
