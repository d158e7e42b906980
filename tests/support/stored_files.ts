import { decodeUtf8 } from "../../lib/base/bytes.ts";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { ReadOptions, Storage, Stored, WriteOptions } from "../../lib/storage/storage.ts";
import { joined } from "./raw_frame.ts";

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Bytes that repeat at no power of two, so that a chunk in the wrong place shows. */
export function pattern(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff;
  return bytes;
}

/** Stores a file by way of the storage interface. */
export async function store(
  storage: Storage,
  path: string,
  content: Uint8Array | string,
  options: WriteOptions = {},
): Promise<void> {
  const bytes = typeof content === "string" ? bytesOf(content) : content;
  const writer = await storage.openWrite(safePath(path), options);
  try {
    if (bytes.length > 0) await writer.write(bytes);
    await writer.commit();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Reads a file by way of the storage interface. */
export async function load(storage: Storage, path: string, options: ReadOptions = {}): Promise<Uint8Array> {
  const reader = await storage.openRead(safePath(path), options);
  const parts: Uint8Array[] = [];
  try {
    const buffer = new Uint8Array(100_000);
    for (let read; (read = await reader.read(buffer)) !== null;) parts.push(buffer.slice(0, read));
  } finally {
    reader.close();
  }
  return joined(...parts);
}

export async function loadText(storage: Storage, path: string): Promise<string> {
  return decodeUtf8(await load(storage, path));
}

/** All entries of a folder, by name. */
export async function listAll(storage: Storage, path = "/"): Promise<Map<string, Stored>> {
  const found = new Map<string, Stored>();
  for await (const page of storage.list(safePath(path))) for (const entry of page.entries) found.set(entry.name, entry);
  return found;
}

export async function namesIn(storage: Storage, path = "/"): Promise<string[]> {
  return [...(await listAll(storage, path)).keys()].sort();
}
