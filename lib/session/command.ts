import type { Log } from "../base/log.ts";
import type { RateLimiter } from "../base/rate_limiter.ts";
import type { SafePath } from "../base/virtual_path.ts";
import type { Storage } from "../storage/storage.ts";
import type { FrameFields, FrameName, RequestName } from "../wire/frames.ts";
import type { Message } from "../wire/codec.ts";
import type { Compressor } from "../wire/compression.ts";
import type { FileRegion } from "../base/file_region.ts";

/**
 * Takes the bytes of DATA frames. With a promise as its answer it is busy until that resolves and is not called before;
 * the chunk is only good until the call returns. `crc` is its CRC-32, which was checked, where the frame had one.
 */
export type Sink = (chunk: Uint8Array, crc?: number) => Promise<void> | void;

/** Weights of streams against each other: so many times as many bytes, while all of them have some to send. */
export const PRIORITIES = { low: 1, normal: 4, high: 16 } as const;
export type Priority = keyof typeof PRIORITIES;
/** Place is code: the index is what goes on the wire. */
export const PRIORITY_NAMES = ["low", "normal", "high"] as const satisfies readonly Priority[];

/** One request and its answer, as commands see it on either side. */
export interface CommandStream {
  /** Aborted when the other side gave the stream up or the session ended. */
  readonly signal: AbortSignal;
  /** Largest payload that a DATA frame should have now, in bytes. */
  readonly chunkSize: number;
  /** Sends a frame; resolves when it was handed to the system, metered ones after the peer has granted room. */
  send<N extends FrameName>(
    name: N,
    fields: FrameFields<N>,
    options?: { fin?: boolean; compressor?: Compressor },
  ): Promise<void>;
  /**
   * Sends a DATA frame in place: HEADER_BYTES of room and then the payload, whose CRC-32 is `crc`, where that is known
   * already. The buffer is free once it resolves.
   */
  sendData(frame: Uint8Array, options?: { crc?: number; compressor?: Compressor }): Promise<void>;
  /** Sends a DATA frame whose payload the system takes from a file; only where `sendsRegions`. */
  sendRegion(region: FileRegion): Promise<void>;
  readonly sendsRegions: boolean;
  /** Sets the stream's weight among those of its session. */
  prioritize(priority: Priority): void;
  /** The next frame that is not DATA. Rejects with the peer's ERROR, or why the session ended. */
  next(): Promise<Message>;
  /** As `next`, handing all DATA before it to the sink. */
  drain(sink: Sink): Promise<Message>;
  /** Gives the stream up. */
  cancel(reason: Error): void;
}

/** What a client half needs: a session that opens streams. */
export interface RequestOpener {
  open<N extends RequestName>(name: N, fields: FrameFields<N>, options?: { fin?: boolean }): CommandStream;
}

/** The only maker of SafePaths for requests: checks the path itself and whether this user may do this to it. */
export interface PathGuard {
  read(path: string): Promise<SafePath>;
  write(path: string): Promise<SafePath>;
}

/** What a server half works with. */
export interface CommandContext {
  /** Holds all transfers of the server together to a rate. */
  readonly limiter?: RateLimiter | undefined;
  /** Puts that are running in all sessions, by owner and path, so that a reconnecting owner can take its own over. */
  readonly puts: Map<string, RunningPut>;
  /** Who is asking; empty: nobody in particular. */
  readonly user: string;
  readonly storage: Storage;
  readonly guard: PathGuard;
  readonly log: Log;
}

/** A put that can be stopped by whoever takes it over. */
export interface RunningPut {
  /** Stops it, what was written stays; resolves once it has let go. */
  stop(): Promise<void>;
}

/** The server half of a command. */
export interface ServerCommand<N extends RequestName = RequestName> {
  readonly request: N;
  /** Whether it changes anything; such commands are refused on a read-only server. */
  readonly writes: boolean;
  /** Answers one request. What it throws goes to the client as an ERROR. */
  serve(stream: CommandStream, fields: FrameFields<N>, context: CommandContext): Promise<void>;
}

/** A command for the dispatch table, its request's type forgotten. */
export interface AnyCommand {
  readonly request: RequestName;
  readonly writes: boolean;
  serve(stream: CommandStream, fields: unknown, context: CommandContext): Promise<void>;
}

/** Declares a server half. */
export function command<N extends RequestName>(definition: ServerCommand<N>): AnyCommand {
  // The dispatcher looks the command up by the name of the request whose fields it passes.
  return {
    ...definition,
    serve: (stream, fields, context) => definition.serve(stream, fields as FrameFields<N>, context),
  };
}
