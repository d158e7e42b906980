import { decodeMessage, encodeMessage, type Message, type Outgoing } from "../../lib/discovery/message.ts";
import type { Hearer, Link, LinkSocket, Network } from "../../lib/discovery/network.ts";

/** A local network in memory: everybody on it hears everything, whoever says it. */
export class Ether {
  /** All messages so far, as they went over it. */
  readonly said: { readonly from: string; readonly bytes: Uint8Array; readonly message: Message | null }[] = [];
  readonly #hearers = new Map<object, Hearer>();

  /** A machine's view of it; it may have other addresses later. */
  host(...addresses: string[]): EtherHost {
    return new EtherHost(this, addresses);
  }

  get listeners(): number {
    return this.#hearers.size;
  }

  /** Says something as a machine that is not one of the hosts. */
  say(message: Outgoing | Uint8Array): void {
    this.deliver("stranger", message instanceof Uint8Array ? message : encodeMessage(message));
  }

  deliver(from: string, bytes: Uint8Array): void {
    this.said.push({ from, bytes, message: decodeMessage(bytes) });
    for (const hearer of [...this.#hearers.values()]) hearer.heard(bytes);
  }

  open(link: Link, hearer: Hearer): LinkSocket {
    const key = {};
    this.#hearers.set(key, hearer);
    return {
      send: (bytes) => {
        // A socket that is closed meanwhile has sent what it was told.
        this.deliver(link.own, bytes);
        return Promise.resolve();
      },
      rejoin() {},
      close: () => void this.#hearers.delete(key),
    };
  }

  /** Has all sockets fail, as when an interface goes. */
  breakDown(): void {
    for (const hearer of [...this.#hearers.values()]) hearer.broken(new Error("no such device"));
  }
}

export class EtherHost implements Network {
  readonly #ether: Ether;
  /** None: the machine is not on the network. */
  addresses: readonly string[];

  constructor(ether: Ether, addresses: readonly string[]) {
    this.#ether = ether;
    this.addresses = addresses;
  }

  links(): Link[] {
    if (this.addresses.length === 0) return [];
    const [own = ""] = this.addresses;
    const state = this.addresses.join();
    return [{ name: "eth0", family: "IPv4", addresses: this.addresses, own, state, has: () => true }];
  }

  open(link: Link, hearer: Hearer): Promise<LinkSocket> {
    return Promise.resolve(this.#ether.open(link, hearer));
  }
}
