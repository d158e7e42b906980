import type { Connection, ConnectOptions, Listener, Transport } from "../../lib/transport/transport.ts";

/** Keeps a copy of all that goes over the connections that are made through it, as somebody on the way could. */
export class RecordingTransport implements Transport {
  readonly scheme = "recorded";
  readonly toServer: number[] = [];
  readonly toClient: number[] = [];
  readonly #inner: Transport;

  constructor(inner: Transport) {
    this.#inner = inner;
  }

  async connect(options: ConnectOptions): Promise<Connection> {
    const inner = await this.#inner.connect(options);
    return {
      local: inner.local,
      remote: inner.remote,
      secure: inner.secure,
      read: async (buffer) => {
        const read = await inner.read(buffer);
        this.toClient.push(...buffer.subarray(0, read ?? 0));
        return read;
      },
      write: async (bytes) => {
        const written = await inner.write(bytes);
        this.toServer.push(...bytes.subarray(0, written));
        return written;
      },
      closeWrite: () => inner.closeWrite(),
      close: () => inner.close(),
      abort: () => inner.abort(),
    };
  }

  listen(): Promise<Listener> {
    throw new Error("only for clients");
  }

  /** All of it, bytes as Latin-1. */
  get text(): string {
    return [this.toServer, this.toClient].map((bytes) => bytes.map((byte) => String.fromCharCode(byte)).join(""))
      .join();
  }
}
