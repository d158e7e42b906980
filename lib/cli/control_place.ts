import { join } from "@std/path";
import { isAlive } from "../server/control_socket.ts";
import { configFolder } from "./config_folder.ts";

/** Rights of the group and of others. */
const OTHERS = 0o077;
const SOCKET_NAME = /\.sock$/;

/**
 * Folders for the control sockets of this user's servers, the preferred one first: `fsh` in `$XDG_RUNTIME_DIR`, `run` in
 * the configuration folder. A client looks into all of them.
 */
export function controlFolders(): string[] {
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  const config = configFolder();
  return [...(runtime ? [join(runtime, "fsh")] : []), ...(config === null ? [] : [join(config, "run")])];
}

/** Makes the folder if it is missing. Answers why it is of no use; null: it is this user's and closed to all others. */
export async function makeControlFolder(folder: string): Promise<string | null> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    return await flaw(folder);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What others could do to a folder makes it useless: what is in it might be theirs. */
async function flaw(folder: string): Promise<string | null> {
  const { isDirectory, uid, mode } = await Deno.lstat(folder);
  if (!isDirectory) return `${folder} is no folder`;
  if (uid !== Deno.uid()) return `${folder} is another user's`;
  return mode !== null && (mode & OTHERS) !== 0 ? `${folder} is open to others: chmod 700 ${folder}` : null;
}

/** Sockets of this user's servers that run. Those that dead ones have left are removed. */
export async function livingSockets(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of controlFolders()) {
    try {
      if (await flaw(folder) !== null) continue;
      for (const { name, isFile, isDirectory } of [...Deno.readDirSync(folder)]) {
        const path = join(folder, name);
        if (isFile || isDirectory || !SOCKET_NAME.test(name)) continue;
        if (await isAlive(path)) found.push(path);
        else await Deno.remove(path);
      }
    } catch {
      // Not there, or gone meanwhile.
    }
  }
  return found.sort();
}
