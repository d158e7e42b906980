/** Two network namespaces joined by a veth pair: two hosts on one machine. Needs root and ip(8). */
export class TwoHosts implements AsyncDisposable {
  readonly serverAddress = "10.207.0.1";
  readonly clientAddress = "10.207.0.2";
  readonly #server = `fsh-s-${Deno.pid}`;
  readonly #client = `fsh-c-${Deno.pid}`;

  static available(): boolean {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
    try {
      const name = `fsh-probe-${Deno.pid}`;
      if (!ipSync("netns", "add", name)) return false;
      return ipSync("netns", "del", name);
    } catch {
      return false;
    }
  }

  static async create(): Promise<TwoHosts> {
    const hosts = new TwoHosts();
    const [s, c] = [hosts.#server, hosts.#client];
    await ip("netns", "add", s);
    await ip("netns", "add", c);
    await ip("-n", s, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", c);
    for (const [name, address] of [[s, hosts.serverAddress], [c, hosts.clientAddress]] as const) {
      await ip("-n", name, "address", "add", `${address}/24`, "dev", "veth0");
      await ip("-n", name, "link", "set", "veth0", "up");
      await ip("-n", name, "link", "set", "lo", "up");
    }
    return hosts;
  }

  /** The words before a command that run it on the server's host. */
  get onServer(): string[] {
    return ["ip", "netns", "exec", this.#server];
  }

  get onClient(): string[] {
    return ["ip", "netns", "exec", this.#client];
  }

  /** Takes the link down or up: no reset, no FIN, only silence. */
  async link(state: "down" | "up"): Promise<void> {
    await ip("-n", this.#client, "link", "set", "veth0", state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ip("netns", "del", this.#server);
    await ip("netns", "del", this.#client);
  }
}

/** Runs ip(8). */
export async function ip(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args }).output();
  if (!success) throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

function ipSync(...args: string[]): boolean {
  return new Deno.Command("ip", { args, stderr: "null", stdout: "null" }).outputSync().success;
}
