import type { Log } from "../base/log.ts";
import type { FshError } from "../base/errors.ts";
import type { MemoryAccount } from "../base/memory_account.ts";
import type { RunningPuts } from "./running_puts.ts";
import type { Rate } from "../base/rate_limiter.ts";
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
  /** Where whatever takes more than some kilobytes is taken from before it is allocated. */
  readonly memory: MemoryAccount;
  /** Bytes of payload that the peer has granted and that were not sent yet. */
  readonly credit: number;
  /**
   * Undefined if the peer has granted room for `bytes` of payload, at most `chunkSize`; else resolves when it has. So that
   * no memory is held meanwhile.
   */
  afford(bytes: number): Promise<void> | undefined;
  /**
   * Sends a frame; resolves when it was handed to the system, metered ones after the peer has granted room. Throws, and does
   * not reject, where the fields have no place in the frame.
   */
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
  /** As `next`, handing all DATA before it to the sink, which makes so many copies of what it is busy with; one by default. */
  drain(sink: Sink, options?: { readonly copies?: number }): Promise<Message>;
  /** Gives the stream up. */
  cancel(reason: Error): void;
}

/** What a client half needs: a session that opens streams. */
export interface RequestOpener {
  open<N extends RequestName>(name: N, fields: FrameFields<N>, options?: { fin?: boolean }): CommandStream;
}

/** One thing that a request is about, under the three names that it has. They differ only where rules make them. */
export interface Place {
  /** As the client names it: in errors and answers. */
  readonly asked: SafePath;
  /** In the served folder, after home and `filterPath`: in events. */
  readonly virtual: SafePath;
  /** Where it really lies, symbolic links resolved: for the storage. */
  readonly real: SafePath;
}

/** How a path is meant; what is not said is as with the request itself. */
export interface PathUse {
  /** Default: the request's name in lower case. */
  readonly command?: string;
  /** Default: whether the request writes. */
  readonly write?: boolean;
  /** Whether a symbolic link at the end stands for what it leads to. Default: for reading it does. */
  readonly follow?: boolean;
  /** The path at the other end, as the client names it. */
  readonly target?: string;
  /** Bytes that are announced; null: not known. */
  readonly size?: number | null;
}

export interface Admitted {
  /** Where there is an error only good for events, as far as it is known. */
  readonly place: Place;
  readonly error: FshError | null;
}

/** The only maker of SafePaths for requests: checks the path itself and whether this user may do this to it. */
export interface PathGuard {
  /** Whether plugins or a home are in force: then each object of a tree has to be asked about. */
  readonly strict: boolean;
  /** @throws {FshError} PATH_REJECTED, NAME_TOO_LONG, NOT_FOUND (hidden), NOT_PERMITTED, READ_ONLY, naming the path */
  admit(path: string, use?: PathUse): Promise<Place>;
  /** As `admit` for many at once. */
  admitAll(wishes: readonly (PathUse & { readonly path: string })[]): Promise<readonly Admitted[]>;
  /**
   * The objects of these names in a folder; null for one that is hidden, or whose path leads elsewhere. That they may be
   * seen is all that is asked.
   */
  below(folder: Place, names: readonly string[], command?: string): Promise<(Place | null)[]>;
  /** Whether objects that `below` gave may be treated so: null or why not. */
  allow(
    wishes: readonly { readonly place: Place; readonly target?: Place }[],
    command?: string,
  ): Promise<(FshError | null)[]>;
  /** Refuses a link at `place` that leads to `real`, unless the user may read that. */
  admitLink(place: Place, real: SafePath): Promise<void>;
}

/** Looks at what a put brings, chunk by chunk, before it is committed. */
export interface ContentCheck {
  /** Takes copies of the chunks. Answers null for each, or why it is refused. */
  check(chunks: readonly ContentChunk[]): Promise<(FshError | null)[]>;
}

export interface ContentChunk {
  readonly place: Place;
  /** Bytes that the file is announced to have. */
  readonly size: number | null;
  readonly transfer: string;
  /** Empty: all has come. */
  readonly chunk: Uint8Array;
  /** Bytes of the file that go before it. */
  readonly offset: number;
}

/** What a command did to one thing. */
export interface Deed {
  readonly place?: Place | undefined;
  readonly target?: string | undefined;
  readonly command?: string;
  readonly transfer?: string;
  readonly size?: number | null | undefined;
  readonly bytes?: number | undefined;
  /** `algorithm:hex`. */
  readonly digest?: string | undefined;
}

/** Takes down what a request did, for the plugins that observe. */
export interface Report {
  /** Whether anybody listens. */
  readonly heard: boolean;
  /** Names the transfer among those of this server. */
  readonly transfer: string;
  /** What the request as a whole moved so far, in bytes. */
  bytes: number | undefined;
  /** Of what was moved: `algorithm:hex`. */
  digest: string | undefined;
  /** Something was changed and is as durable as it is set to be. */
  committed(deed: Deed): void;
  /** One of several files was answered; the request as a whole is then not told of. */
  answered(deed: Deed, error?: FshError | null): void;
}

/** What one request may ask for; Infinity, or 0 for `keepFree`: as much as it likes. */
export interface RequestBounds {
  /** Files that it names. */
  readonly request: number;
  /** Entries of a listing. */
  readonly listing: number;
  /** Bytes of a file. */
  readonly put: number;
  /** Bytes of the disk that puts leave free. */
  readonly keepFree: number;
}

/** Turns of heavy work, so that it leaves time for everything else; see WorkTurns. */
export interface Work {
  /**
   * To be asked before each small piece of work. Undefined: go on; else resolves at the next turn, and rejects once the
   * request was given up.
   */
  turn(): Promise<void> | undefined;
  /** For what reads large files without sending them: few of a session's do at once. */
  fewAtOnce<T>(work: () => Promise<T>): Promise<T>;
}

/** What a server half works with. */
export interface CommandContext {
  /** By default there are none. */
  readonly bounds?: RequestBounds | undefined;
  /** Hears of single files of a request that failed on this side, while the request itself goes on. */
  readonly refused?: ((error: FshError) => void) | undefined;
  readonly work: Work;
  /** Holds all transfers of the server together to a rate. */
  readonly limiter?: Rate | undefined;
  readonly puts: RunningPuts;
  /** Who is asking; empty: nobody in particular. */
  readonly user: string;
  readonly storage: Storage;
  readonly guard: PathGuard;
  readonly report: Report;
  /** Undefined: nobody wants to see what puts bring. */
  readonly content: ContentCheck | undefined;
  readonly log: Log;
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
