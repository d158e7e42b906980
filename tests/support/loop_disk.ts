import { systemCommand } from "./system_command.ts";

/** A file system of its own, ext4 in an image on a loop device. Needs root, losetup(8) and mkfs.ext4(8). */
export class LoopDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  /** Of the block device, "major:minor". */
  readonly number: string;
  readonly #folder: string;
  readonly #device: string;

  private constructor(folder: string, device: string, number: string) {
    this.#folder = folder;
    this.#device = device;
    this.number = number;
    this.path = `${folder}/mounted`;
  }

  static available(): boolean {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
    try {
      const found = new Deno.Command("losetup", { args: ["--find"], stdout: "null", stderr: "null" }).outputSync();
      return found.success && new Deno.Command("mkfs.ext4", { args: ["-V"], stderr: "null" }).outputSync().success;
    } catch {
      return false;
    }
  }

  /** `size` in bytes. */
  static async create(size: number): Promise<LoopDisk> {
    const folder = await Deno.makeTempDir({ prefix: "fsh-disk-" });
    await Deno.writeFile(`${folder}/image`, new Uint8Array());
    await Deno.truncate(`${folder}/image`, size);
    await systemCommand("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", `${folder}/image`);
    const device = (await systemCommand("losetup", "--find", "--show", "--direct-io=on", `${folder}/image`)).trim();
    const number = (await Deno.readTextFile(`/sys/block/${device.replace(/.*\//, "")}/dev`)).trim();
    const disk = new LoopDisk(folder, device, number);
    await Deno.mkdir(disk.path);
    await systemCommand("mount", device, disk.path);
    return disk;
  }

  /** Mounted anew, nothing of it is in memory. */
  async mountAnew(): Promise<void> {
    await systemCommand("umount", this.path);
    await systemCommand("mount", this.#device, this.path);
  }

  /** Until the answer is disposed of, whoever writes to it waits (fsfreeze(8)). */
  async freeze(): Promise<AsyncDisposable> {
    await systemCommand("fsfreeze", "--freeze", this.path);
    return { [Symbol.asyncDispose]: async () => void await systemCommand("fsfreeze", "--unfreeze", this.path) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await systemCommand("umount", this.path);
    await systemCommand("losetup", "--detach", this.#device);
    await Deno.remove(this.#folder, { recursive: true });
  }
}
