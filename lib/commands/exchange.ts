import { FshError, toFshError } from "../base/errors.ts";
import type { CommandStream } from "../session/command.ts";
import type { Message } from "../wire/codec.ts";

/** The next message, which must be of the given name. */
export async function expect<N extends Message["name"]>(
  stream: CommandStream,
  name: N,
): Promise<Extract<Message, { name: N }>> {
  const message = await stream.next();
  if (message.name !== name) {
    const error = new FshError("UNEXPECTED_FRAME", { subject: message.name, detail: `${name} was due` });
    stream.cancel(error);
    throw error;
  }
  return message as Extract<Message, { name: N }>;
}

/** Works with a stream, and gives it up when the signal says so or the work fails. */
export async function interruptible<T>(
  stream: CommandStream,
  signal: AbortSignal | undefined,
  work: (stream: CommandStream) => Promise<T>,
): Promise<T> {
  const interrupt = () => stream.cancel(toFshError(signal?.reason));
  signal?.addEventListener("abort", interrupt);
  try {
    if (signal?.aborted) interrupt();
    return await work(stream);
  } catch (error) {
    stream.cancel(toFshError(error));
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
  }
}
