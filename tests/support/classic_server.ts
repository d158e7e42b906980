import { concatBytes } from "../../lib/base/bytes.ts";
import { classicPort } from "./classic_peer.ts";
import { eventually, ServerProcess } from "./program.ts";
import { inMemory } from "./ram.ts";

/** `fsh serve --classic 0`, its port, and its URL; the folder is in memory where `bytes` have room there. */
export async function serveClassic(
  args: readonly string[] = [],
  options: { readonly folder?: string; readonly bytes?: number } = {},
): Promise<{ server: ServerProcess; port: number; url: string } & AsyncDisposable> {
  const { bytes = 64 * 1024 * 1024 } = options;
  const folder = options.folder ?? Deno.makeTempDirSync({ prefix: "fsh-e2e-", ...inMemory(bytes) });
  const server = await ServerProcess.start({ args: ["--classic", "0", ...args], folder });
  const port = await eventually("the classic port", 10_000, () => classicPort(server.ready + server.out));
  const url = `classic://127.0.0.1:${port}/`;
  return { server, port, url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** What a scripted server says, command by command; null: it closes there. */
export type Answer = (command: number, name: string, content: Uint8Array) => readonly Uint8Array[] | null;

/** A classic server of a few lines, which answers what a test says. Written from the description of the wire alone. */
export class ScriptedServer implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.TcpConn>();
  readonly #answer: Answer;
  /** Command bytes that came, of all connections. */
  readonly heard: number[] = [];

  constructor(answer: Answer) {
    this.#answer = answer;
    void this.#accept();
  }

  get url(): string {
    return `classic://127.0.0.1:${this.#listener.addr.port}/`;
  }

  async #accept(): Promise<void> {
    try {
      for await (const conn of this.#listener) {
        this.#open.add(conn);
        this.#serve(conn).catch(() => {}).finally(() => {
          if (this.#open.delete(conn)) conn.close();
        });
      }
    } catch {
      // Closed.
    }
  }

  async #serve(conn: Deno.TcpConn): Promise<void> {
    const take = async (bytes: number) => {
      const whole = new Uint8Array(bytes);
      for (let at = 0; at < bytes;) {
        const read = await conn.read(whole.subarray(at));
        if (read === null) throw new Error("closed");
        at += read;
      }
      return whole;
    };
    for (;;) {
      const [command = 0] = await take(1);
      this.heard.push(command);
      const field = command === 2 || command === 3 ? await take(256) : new Uint8Array(1);
      const size = command === 3 ? Number(new DataView((await take(8)).buffer).getBigUint64(0, true)) : 0;
      const content = await take(size);
      const answer = this.#answer(command, new TextDecoder().decode(field.subarray(0, field.indexOf(0))), content);
      if (answer === null) return;
      const bytes = concatBytes(answer);
      for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    }
  }

  /** Closes what is open now. */
  hangUp(): void {
    for (const conn of this.#open) conn.close();
    this.#open.clear();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.hangUp();
  }
}
