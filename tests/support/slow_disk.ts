import { LoopDisk } from "./loop_disk.ts";

/** Control groups of version 1 that hold block devices to a rate (cgroups(7), blkio). */
const GROUPS = "/sys/fs/cgroup/blkio";

/** A file system on a disk that is slow for the programs that `within` starts. Needs control groups of version 1. */
export class SlowDisk implements AsyncDisposable {
  readonly #disk: LoopDisk;
  readonly #group: string;

  private constructor(disk: LoopDisk) {
    this.#disk = disk;
    this.#group = `${GROUPS}/fsh-${Deno.pid}-${disk.number.replace(":", "-")}`;
  }

  static available(): boolean {
    if (!LoopDisk.available()) return false;
    try {
      Deno.statSync(`${GROUPS}/blkio.throttle.write_bps_device`);
      return true;
    } catch {
      return false;
    }
  }

  /** `size` and `rate` (a second, each way) in bytes; `fill`: a file of that name and size is on it, and not in memory. */
  static async create(
    { size, rate, fill }: { size: number; rate: number; fill?: { name: string; size: number } },
  ): Promise<SlowDisk> {
    const disk = await LoopDisk.create(size);
    if (fill) {
      const noise = crypto.getRandomValues(new Uint8Array(65536));
      using file = await Deno.create(`${disk.path}/${fill.name}`);
      for (let left = fill.size; left > 0; left -= noise.length) file.writeSync(noise);
      file.syncSync();
    }
    await disk.mountAnew();
    const slow = new SlowDisk(disk);
    await Deno.mkdir(slow.#group);
    for (const way of ["read", "write"]) {
      await Deno.writeTextFile(`${slow.#group}/blkio.throttle.${way}_bps_device`, `${disk.number} ${rate}`);
    }
    return slow;
  }

  get path(): string {
    return this.#disk.path;
  }

  /** The words before a command to which the disk is slow. */
  get within(): string[] {
    return ["sh", "-c", `echo $$ > ${this.#group}/cgroup.procs && exec "$@"`, "sh"];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk[Symbol.asyncDispose]();
    await Deno.remove(this.#group);
  }
}
