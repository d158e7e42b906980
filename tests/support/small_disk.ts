import { statfsSync } from "node:fs";
import { systemCommand } from "./system_command.ts";

/** A file system of its own that is soon full: a tmpfs, mounted on a temporary folder. Needs root and Linux. */
export class SmallDisk implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static available(): boolean {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
    const folder = Deno.makeTempDirSync({ prefix: "fsh-probe-" });
    try {
      return runSync("mount", ...mountArguments(folder, {})) && runSync("umount", folder);
    } finally {
      Deno.removeSync(folder);
    }
  }

  /** A megabyte with room for so many files. */
  static async create(options: { files?: number } = {}): Promise<SmallDisk> {
    const folder = await Deno.makeTempDir({ prefix: "fsh-disk-" });
    await systemCommand("mount", ...mountArguments(folder, options));
    return new SmallDisk(folder);
  }

  /** Blocks and files that it still has room for. */
  free(): { blocks: number; files: number } {
    const { bfree, ffree } = statfsSync(this.path);
    return { blocks: bfree, files: ffree };
  }

  /** Blocks that a file of so many bytes takes. */
  blocks(bytes: number): number {
    return Math.ceil(bytes / statfsSync(this.path).bsize);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unmount(20);
    await Deno.remove(this.path);
  }

  /** Once it was busy, a moment after its last file was closed; by whom is not known. */
  async #unmount(attempts: number): Promise<void> {
    for (let attempt = 1;; attempt++) {
      try {
        return void await systemCommand("umount", this.path);
      } catch (error) {
        if (attempt === attempts) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
}

function mountArguments(folder: string, { files }: { files?: number }): string[] {
  return ["-t", "tmpfs", "-o", files === undefined ? "size=1m" : `size=1m,nr_inodes=${files}`, "tmpfs", folder];
}

function runSync(command: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
