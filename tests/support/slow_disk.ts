/** Control groups of version 1 that hold block devices to a rate (cgroups(7), blkio). */
const GROUPS = "/sys/fs/cgroup/blkio";

/**
 * A file system on a disk that is slow for the programs that `within` starts: an image on a loop device, held to a rate
 * by a control group. Needs root, losetup(8), mkfs.ext4(8) and control groups of version 1.
 */
export class SlowDisk implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;
  readonly #device: string;
  readonly #group: string;

  private constructor(folder: string, device: string) {
    this.#folder = folder;
    this.path = `${folder}/mounted`;
    this.#device = device;
    this.#group = `${GROUPS}/fsh-${Deno.pid}-${device.replace(/.*\//, "")}`;
  }

  static available(): boolean {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
    try {
      Deno.statSync(`${GROUPS}/blkio.throttle.write_bps_device`);
      const found = new Deno.Command("losetup", { args: ["--find"], stdout: "null", stderr: "null" }).outputSync();
      return found.success && new Deno.Command("mkfs.ext4", { args: ["-V"], stderr: "null" }).outputSync().success;
    } catch {
      return false;
    }
  }

  /** `size` and `rate` (a second, each way) in bytes; `fill`: a file of that name and size is on it, and not in memory. */
  static async create(
    { size, rate, fill }: { size: number; rate: number; fill?: { name: string; size: number } },
  ): Promise<SlowDisk> {
    const folder = await Deno.makeTempDir({ prefix: "fsh-slow-" });
    await Deno.writeFile(`${folder}/image`, new Uint8Array());
    await Deno.truncate(`${folder}/image`, size);
    await run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", `${folder}/image`);
    const device = (await run("losetup", "--find", "--show", "--direct-io=on", `${folder}/image`)).trim();
    const disk = new SlowDisk(folder, device);
    await Deno.mkdir(disk.path);
    await run("mount", device, disk.path);
    if (fill) {
      const noise = crypto.getRandomValues(new Uint8Array(65536));
      using file = await Deno.create(`${disk.path}/${fill.name}`);
      for (let left = fill.size; left > 0; left -= noise.length) file.writeSync(noise);
      file.syncSync();
    }
    // Mounted anew, nothing of it is in memory.
    await run("umount", disk.path);
    await run("mount", device, disk.path);
    const number = (await Deno.readTextFile(`/sys/block/${device.replace(/.*\//, "")}/dev`)).trim();
    await Deno.mkdir(disk.#group);
    for (const way of ["read", "write"]) {
      await Deno.writeTextFile(`${disk.#group}/blkio.throttle.${way}_bps_device`, `${number} ${rate}`);
    }
    return disk;
  }

  /** The words before a command to which the disk is slow. */
  get within(): string[] {
    return ["sh", "-c", `echo $$ > ${this.#group}/cgroup.procs && exec "$@"`, "sh"];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", this.path);
    await run("losetup", "--detach", this.#device);
    await Deno.remove(this.#group);
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function run(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
