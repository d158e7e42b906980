import { ip } from "./namespaces.ts";

let made = 0;

/** Network namespaces that a bridge, in one of its own, joins: hosts on one local network. Needs what TwoHosts needs. */
export class BridgedHosts implements AsyncDisposable {
  readonly #prefix = `fsh-b-${Deno.pid}-${made++}`;
  readonly #count: number;

  private constructor(count: number) {
    this.#count = count;
  }

  static async create(count: number): Promise<BridgedHosts> {
    const hosts = new BridgedHosts(count);
    const bridge = hosts.#name("bridge");
    await ip("netns", "add", bridge);
    await ip("-n", bridge, "link", "add", "bridge0", "type", "bridge");
    await ip("-n", bridge, "link", "set", "bridge0", "up");
    for (let i = 0; i < count; i++) {
      const host = hosts.#name(i);
      await ip("netns", "add", host);
      await ip("-n", host, "link", "add", "veth0", "type", "veth", "peer", "name", `port${i}`, "netns", bridge);
      await ip("-n", bridge, "link", "set", `port${i}`, "master", "bridge0", "up");
      await ip("-n", host, "link", "set", "lo", "up");
      await ip("-n", host, "link", "set", "veth0", "up");
      await hosts.address("add", i);
    }
    return hosts;
  }

  addressOf(host: number): string {
    return `10.208.0.${host + 1}`;
  }

  /** The words before a command that run it on a host. */
  on(host: number): string[] {
    return ["ip", "netns", "exec", this.#name(host)];
  }

  /** Gives a host an address, or takes it: the one above unless another one is named. */
  async address(change: "add" | "del", host: number, address = `${this.addressOf(host)}/24`): Promise<void> {
    const flags = address.includes(":") ? ["nodad"] : [];
    await ip("-n", this.#name(host), "address", change, address, "dev", "veth0", ...flags);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let i = 0; i < this.#count; i++) await ip("netns", "del", this.#name(i));
    await ip("netns", "del", this.#name("bridge"));
  }

  #name(host: number | "bridge"): string {
    return `${this.#prefix}-${host}`;
  }
}
