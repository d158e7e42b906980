import { fromFileUrl } from "@std/path";
import { decodeMessage, encodeMessage, type Message, type Outgoing } from "../../../lib/discovery/message.ts";
import { eventually } from "../program.ts";

/** What came in: to the group, to this machine's port 5353, or to the port that it asks from otherwise. */
export interface Heard {
  readonly by: "group" | "mdns" | "own";
  readonly from: string;
  readonly length: number;
  readonly message: Message | null;
}

/** Somebody on a local network who speaks multicast DNS as he likes. */
export class Stranger implements AsyncDisposable {
  readonly heard: Heard[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #ready = false;
  /** Who waits to hear that something was said, in order. */
  readonly #waiting: (() => void)[] = [];

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** `command`: the words that run a command on his host. */
  static async start({ command, address }: { command: readonly string[]; address: string }): Promise<Stranger> {
    const [program = "", ...before] = command;
    const script = fromFileUrl(new URL("stranger_process.ts", import.meta.url));
    const args = [...before, Deno.execPath(), "run", "--quiet", "--allow-all", "--no-config", script, address];
    const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
    const stranger = new Stranger(child);
    await eventually("the stranger to listen", 20_000, () => stranger.#ready);
    return stranger;
  }

  /** Resolves once it is said. `from`: default group, that is port 5353; `to`: an address, or the group by default. */
  async say(what: Outgoing | Uint8Array, options: { from?: Heard["by"]; to?: string } = {}): Promise<void> {
    const { from = "group", to = "group" } = options;
    const bytes = what instanceof Uint8Array ? what : encodeMessage(what);
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    const said = new Promise<void>((resolve) => this.#waiting.push(resolve));
    await this.#input.write(new TextEncoder().encode(JSON.stringify({ from, to, data: btoa(text) }) + "\n"));
    await said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
    await this.#reading;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    }
  }

  #take(line: string): void {
    if (line === "ready") {
      this.#ready = true;
      return;
    }
    if (line === "said") {
      this.#waiting.shift()?.();
      return;
    }
    const { by, from, data } = JSON.parse(line) as { by: Heard["by"]; from: string; data: string };
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    this.heard.push({ by, from, length: bytes.length, message: decodeMessage(bytes) });
  }
}
