import { assertEquals } from "@std/assert";
import { names } from "./program.ts";

const OLD = "what was there before";
const OLD_TIME = 1_000_000_000_000;

/** Puts a file where a transfer is to go. */
export async function placeOld(path: string): Promise<void> {
  await Deno.writeTextFile(path, OLD);
  await Deno.utime(path, OLD_TIME / 1000, OLD_TIME / 1000);
}

/** A file that was placed is still as it was, content and time. */
export async function assertOld(path: string): Promise<void> {
  assertEquals(await Deno.readTextFile(path), OLD);
  assertEquals((await Deno.stat(path)).mtime?.getTime(), OLD_TIME);
}

/** Whether a file still has the content that was placed. */
export function isOld(path: string): boolean {
  return Deno.statSync(path).size === OLD.length && Deno.readTextFileSync(path) === OLD;
}

/** Unfinished files of fsh anywhere below a folder, as paths. */
export function partFiles(folder: string): string[] {
  const found: string[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) found.push(...partFiles(`${folder}/${name}`));
    else if (name.startsWith(".fsh-part-")) found.push(`${folder}/${name}`);
  }
  return found;
}

/** Names in a folder that are not fsh's own unfinished files. */
export function visible(folder: string): string[] {
  return names(folder).filter((name) => !name.startsWith(".fsh-part-"));
}
