import { FshError } from "../base/errors.ts";
import type { SafePath } from "../base/virtual_path.ts";
import type { CommandContext } from "../session/command.ts";

/** The free space is looked up again at the latest after so many bytes, and at the earliest after so few. */
const STEP = { longest: 64 * 1024 * 1024, shortest: 64 * 1024 };

/** Holds one put to the server's limits: the size of a file, and the disk that is kept free. */
export class PutRoom {
  readonly #context: Pick<CommandContext, "storage" | "bounds">;
  readonly #file: { readonly asked: string; readonly real: SafePath; readonly size: number | null };
  /** Bytes until the free space is looked up again. */
  #step = Infinity;

  /** `size`: bytes that are announced; null: not known. */
  constructor(
    context: Pick<CommandContext, "storage" | "bounds">,
    file: { readonly asked: string; readonly real: SafePath; readonly size: number | null },
  ) {
    this.#context = context;
    this.#file = file;
  }

  /** Before the first byte; `there`: bytes that are on the disk already. @throws {FshError} PUT_TOO_LARGE, DISK_RESERVED */
  async check(there = 0): Promise<void> {
    this.#checkSize(this.#file.size ?? 0);
    await this.checkDisk(there);
  }

  /** Counts a chunk before it is taken; `size`: of the file with it. @throws {FshError} PUT_TOO_LARGE */
  take(bytes: number, size: number): void {
    this.#checkSize(size);
    this.#step -= bytes;
  }

  /** After a chunk was written: undefined, or looks up what is left. Rejects with DISK_RESERVED. */
  written(size: number): Promise<void> | undefined {
    return this.#step > 0 ? undefined : this.checkDisk(size);
  }

  #checkSize(size: number): void {
    const most = this.#context.bounds?.put ?? Infinity;
    if (size <= most) return;
    throw new FshError("PUT_TOO_LARGE", { subject: this.#file.asked, detail: `at most ${most} bytes` });
  }

  /** Only the disk. @throws {FshError} DISK_RESERVED */
  async checkDisk(there = 0): Promise<void> {
    const { storage, bounds } = this.#context;
    const { asked, real, size } = this.#file;
    if (!bounds?.keepFree || !storage.free) return;
    const left = await storage.free(real) - bounds.keepFree;
    const due = Math.max(0, (size ?? 0) - there);
    if (left < due) {
      const room = `${Math.max(0, left)} bytes are left for files`;
      throw new FshError("DISK_RESERVED", { subject: asked, detail: size === null ? room : `${room}, ${due} to come` });
    }
    // Others write, too: the scarcer it becomes, the more often it is looked up.
    this.#step = Math.min(STEP.longest, Math.max(STEP.shortest, left / 4));
  }
}
