import { statfsSync } from "node:fs";

/** A new temporary folder: in memory where so many bytes have room there, so that no disk holds up anything. */
export async function ramFolder(bytes: number): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "fsh-e2e-", ...inMemory(bytes) });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }).catch(() => {}) };
}

/** For `makeTempDir`: where so many bytes have room in memory, if anywhere. */
export function inMemory(bytes: number): { dir?: string } {
  return hasRoom("/dev/shm", bytes) ? { dir: "/dev/shm" } : {};
}

function hasRoom(folder: string, bytes: number): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize > bytes;
  } catch {
    return false;
  }
}
