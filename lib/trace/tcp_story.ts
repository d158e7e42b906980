import { splitAddress } from "../base/address.ts";
import type { Role } from "../wire/frames.ts";
import { ACK, addressBytes, type Endpoint, FIN, packet, PSH, RST, SEGMENT, SYN } from "./pcap.ts";

/** Bytes that go one way before the other side is made to acknowledge them. */
const ACK_EVERY = 256 * 1024;
/** Where an address is none of IP: hosts of TEST-NET-1, which nobody has (RFC 5737, section 3). */
const NOWHERE: Readonly<Record<Role, readonly number[]>> = { client: [192, 0, 2, 1], server: [192, 0, 2, 2] };
const NO_PORT = { client: 49152, server: 7374 } as const;

/** One direction: how far it has come. */
interface Side {
  readonly end: Endpoint;
  next: number;
  unacknowledged: number;
  finished: boolean;
}

/** Tells what two ends said to each other as a TCP connection of its own, with handshake, acknowledgements and end. */
export class TcpStory {
  readonly #write: (packet: readonly (Uint8Array | number)[]) => void;
  readonly #sides: Readonly<Record<Role, Side>>;

  /** `client`, `server`: `address:port` of each. `number` tells apart those that have none. */
  constructor(
    write: (packet: readonly (Uint8Array | number)[]) => void,
    ends: { readonly client: string; readonly server: string; readonly number: number },
  ) {
    this.#write = write;
    const [client, server] = endpoints(ends);
    const side = (end: Endpoint): Side => ({ end, next: 0, unacknowledged: 0, finished: false });
    this.#sides = { client: side(client), server: side(server) };
  }

  open(time: number): void {
    this.#send("client", { flags: SYN, time });
    this.#send("server", { flags: SYN | ACK, time });
    this.#send("client", { flags: ACK, time });
  }

  /** A number stands for as many zeros. */
  say(from: Role, said: Uint8Array | number, time: number): void {
    const length = typeof said === "number" ? said : said.length;
    for (let at = 0; at < length; at += SEGMENT) {
      const end = Math.min(length, at + SEGMENT);
      const payload = typeof said === "number" ? end - at : said.subarray(at, end);
      this.#send(from, { flags: PSH | ACK, time, payload });
      if (this.#sides[from].unacknowledged >= ACK_EVERY) this.#send(otherOf(from), { flags: ACK, time });
    }
  }

  close(by: Role, time: number): void {
    if (this.#sides[by].finished) return;
    this.#send(by, { flags: FIN | ACK, time });
    this.#sides[by].finished = true;
    this.#send(otherOf(by), { flags: ACK, time });
  }

  reset(by: Role, time: number): void {
    this.#send(by, { flags: RST | ACK, time });
  }

  #send(
    from: Role,
    { flags, time, payload = 0 }: { flags: number; time: number; payload?: Uint8Array | number },
  ): void {
    const [side, other] = [this.#sides[from], this.#sides[otherOf(from)]];
    this.#write(packet({ from: side.end, to: other.end, flags, seq: side.next, ack: other.next, payload, time }));
    const length = typeof payload === "number" ? payload : payload.length;
    side.next = (side.next + length + (flags & (SYN | FIN) ? 1 : 0)) >>> 0;
    side.unacknowledged += length;
    other.unacknowledged = 0;
  }
}

export function otherOf(role: Role): Role {
  return role === "client" ? "server" : "client";
}

function endpoints(
  { client, server, number }: { readonly client: string; readonly server: string; readonly number: number },
): [Endpoint, Endpoint] {
  const [c, s] = [splitAddress(client), splitAddress(server)];
  const [from, to] = [addressBytes(c.address), addressBytes(s.address)];
  const real = from !== null && to !== null && from.length === to.length;
  return [
    { address: real ? from : NOWHERE.client, port: c.port || NO_PORT.client + number % 16_384 },
    { address: real ? to : NOWHERE.server, port: s.port || NO_PORT.server },
  ];
}
