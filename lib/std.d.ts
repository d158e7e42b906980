// The standard library comes from npm as plain JavaScript. These are the parts in use, as its documentation types them.

declare module "@std/assert" {
  export class AssertionError extends Error {}
  export function assert(expression: unknown, message?: string): asserts expression;
  export function assertEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertStringIncludes(actual: string, expected: string, message?: string): void;
  export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void;
  export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void;
  export function assertInstanceOf<T>(
    actual: unknown,
    expected: abstract new (...parameters: never[]) => T,
    message?: string,
  ): asserts actual is T;
  export function assertThrows(call: () => unknown): unknown;
  export function assertRejects(call: () => PromiseLike<unknown>): Promise<unknown>;
  export function fail(message?: string): never;
}

declare module "@std/cli/parse-args" {
  export interface ParseOptions {
    readonly string?: readonly string[];
    readonly boolean?: readonly string[];
    readonly collect?: readonly string[];
    readonly alias?: Readonly<Record<string, string | readonly string[]>>;
    readonly stopEarly?: boolean;
    readonly "--"?: boolean;
    readonly unknown?: (argument: string, key?: string, value?: unknown) => unknown;
  }
  export interface ParsedArgs {
    readonly _: readonly (string | number)[];
    readonly "--"?: readonly string[];
    readonly [name: string]: unknown;
  }
  export function parseArgs(args: readonly string[], options?: ParseOptions): ParsedArgs;
}

declare module "@std/fs" {
  export interface WalkEntry extends Deno.DirEntry {
    readonly path: string;
  }
  export function ensureDir(path: string | URL): Promise<void>;
  export function exists(path: string | URL): Promise<boolean>;
  export function walk(
    root: string | URL,
    options?: { includeDirs?: boolean; exts?: string[] },
  ): AsyncIterableIterator<WalkEntry>;
}

declare module "@std/path" {
  export const SEPARATOR: string;
  export function basename(path: string, suffix?: string): string;
  export function dirname(path: string): string;
  export function extname(path: string): string;
  export function toFileUrl(path: string): URL;
  export function fromFileUrl(url: string | URL): string;
  export interface GlobOptions {
    readonly os?: "linux" | "windows";
    readonly globstar?: boolean;
    readonly extended?: boolean;
  }
  export function globToRegExp(glob: string, options?: GlobOptions): RegExp;
  export function isGlob(text: string): boolean;
  export function isAbsolute(path: string): boolean;
  export function join(...paths: string[]): string;
  export function relative(from: string, to: string): string;
  export function resolve(...paths: string[]): string;
}

declare module "@std/streams" {
  export function toText(stream: ReadableStream<Uint8Array>): Promise<string>;
}

// Brings no types either.
declare module "sshpk" {
  export interface PrivateKey {
    readonly type: string;
    toString(format: "pkcs8"): string;
  }
  const sshpk: {
    /** Throws KeyEncryptedError for a key that needs a passphrase. */
    parsePrivateKey(text: string, format: "ssh-private"): PrivateKey;
  };
  export default sshpk;
}

// Nor does this one.
declare module "dns-packet" {
  /** Question or record; the kind of `data` depends on the type. */
  export interface Entry {
    readonly name: string;
    readonly type: string;
    readonly class?: string;
    /** Seconds. */
    readonly ttl?: number;
    /** The cache-flush bit of multicast DNS. */
    readonly flush?: boolean;
    readonly data?: unknown;
    readonly options?: readonly { readonly code: string; readonly length: number }[];
  }
  export interface Packet {
    readonly type: "query" | "response";
    readonly flags?: number;
    readonly opcode?: string;
    readonly rcode?: string;
    readonly questions?: readonly Entry[];
    readonly answers?: readonly Entry[];
    readonly authorities?: readonly Entry[];
    readonly additionals?: readonly Entry[];
  }
  interface Codec {
    encode(value: unknown): Uint8Array;
  }
  const packet: {
    encode(packet: Packet): Uint8Array<ArrayBuffer>;
    encodingLength(packet: Packet): number;
    /** Throws an Error on what is malformed. Takes node's Buffer only. */
    decode(bytes: Uint8Array): Packet;
    /** Data of a record, behind its length. */
    readonly srv: Codec;
    readonly txt: Codec;
  };
  export default packet;
}
