/** What ss(8) shows of one socket. */
export interface SocketLine {
  readonly state: string;
  readonly sendQueue: number;
  readonly local: string;
  readonly remote: string;
  /** All of it, timers and memory among it. */
  readonly text: string;
}

/** The TCP sockets that a filter of ss(8) leaves; `on`: the words before a command that run it on another host. */
export async function sockets(
  filter: string,
  { listening = false, on = [] }: { listening?: boolean; on?: readonly string[] } = {},
): Promise<SocketLine[]> {
  const [program = "", ...args] = [...on, "ss", listening ? "-tlnmOH" : "-tnoimOH", filter];
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line.trim() !== "").map((text) => {
    const [state = "", , sendQueue = "", local = "", remote = ""] = text.trim().split(/\s+/);
    return { state, sendQueue: Number(sendQueue), local, remote, text };
  });
}

/** Seconds until keepalive's next probe; null: that timer is not running. */
export function keepAliveTimer({ text }: SocketLine): number | null {
  const found = /timer:\(keepalive,(?:(\d+)min)?(?:([\d.]+)sec)?(?:(\d+)ms)?,/.exec(text);
  return found && 60 * Number(found[1] ?? 0) + Number(found[2] ?? 0) + Number(found[3] ?? 0) / 1000;
}

/** What the kernel counts as the size of the receive and the send buffer, in bytes. */
export function buffers({ text }: SocketLine): { receive: number; send: number } {
  const [, receive = "", send = ""] = /skmem:\(r\d+,rb(\d+),t\d+,tb(\d+),/.exec(text) ?? [];
  return { receive: Number(receive), send: Number(send) };
}
