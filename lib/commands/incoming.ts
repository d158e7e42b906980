import { hasDigest } from "../base/digest.ts";
import { FshError, toFshError } from "../base/errors.ts";
import { parentPath } from "../base/virtual_path.ts";
import type { CommandContext, Deed, Place } from "../session/command.ts";
import type { Outcome, PackedFile } from "../wire/field.ts";
import { digestText } from "./sum.ts";
import { makePlaces, placeAbove } from "./mkdir.ts";
import { PutRoom } from "./put_room.ts";

/** A file of a FILES frame on its way to the storage. */
interface OnItsWay {
  readonly index: number;
  readonly file: PackedFile;
  readonly place: Place;
}

/** The small files that one frame of PUTS brought. */
export class Incoming {
  /** What became of each; kept up to date. */
  readonly outcomes: Outcome[];
  readonly #files: readonly PackedFile[];
  readonly #algorithm: string;
  readonly #context: CommandContext;
  readonly #begun: number;
  #accepted: OnItsWay[] = [];

  /** `begun`: files of the request before these. */
  constructor(
    files: readonly PackedFile[],
    options: { readonly algorithm: string; readonly context: CommandContext; readonly begun: number },
  ) {
    this.#files = files;
    this.#algorithm = options.algorithm;
    this.#context = options.context;
    this.#begun = options.begun;
    this.outcomes = files.map(() => ({ code: 0, detail: "" }));
  }

  /** Looks at paths, contents and rules, before anything is stored. */
  async admit(): Promise<void> {
    const { guard, content } = this.#context;
    const admitted = await guard.admitAll(this.#files.map(({ path, size }) => ({ path, size })));
    for (const [index, { place, error }] of admitted.entries()) {
      const file = this.#files[index] as PackedFile;
      const one = { index, file, place };
      const wrong = error ?? this.#damage(file) ?? this.#oversize(file);
      if (wrong) this.#fail(one, wrong);
      else this.#accepted.push(one);
    }
    await this.#findRoom();
    if (!content) return;
    await this.#inspect((file) => ({ chunk: file.content, offset: 0 }), (file) => file.size > 0);
    await this.#inspect((file) => ({ chunk: new Uint8Array(0), offset: file.size }));
  }

  /** Writes what was admitted; with `parents` missing folders are made. */
  async store(options: { readonly noReplace: boolean; readonly parents: boolean }): Promise<void> {
    const homeless = await this.#write(this.#accepted, options);
    if (!options.parents) return homeless.forEach(({ one, error }) => this.#fail(one, error));
    const made = new Map<string, FshError | null>();
    for (const { one } of homeless) {
      const folder = parentPath(one.place.real);
      if (!made.has(folder)) made.set(folder, await this.#makeFolder(one.place));
    }
    const housed: OnItsWay[] = [];
    for (const { one, error } of homeless) {
      // A rule's refusal is told as it is; otherwise it is the file that lacks its folder.
      const refusal = made.get(parentPath(one.place.real));
      if (refusal) this.#fail(one, refusal.error === "NOT_PERMITTED" ? refusal : error);
      else housed.push(one);
    }
    for (const { one, error } of await this.#write(housed, options)) this.#fail(one, error);
  }

  #damage({ path, content, size, digest }: PackedFile): FshError | null {
    if (content.length !== size) return new FshError("SIZE_MISMATCH", { subject: path });
    if (!hasDigest(content, this.#algorithm, digest)) return new FshError("DIGEST_MISMATCH", { subject: path });
    return null;
  }

  #oversize({ path, size }: PackedFile): FshError | null {
    const most = this.#context.bounds?.put ?? Infinity;
    return size > most ? new FshError("PUT_TOO_LARGE", { subject: path, detail: `at most ${most} bytes` }) : null;
  }

  /** All of them together must leave the disk that is kept free. */
  async #findRoom(): Promise<void> {
    const [first] = this.#accepted;
    if (!first) return;
    const size = this.#accepted.reduce((sum, { file }) => sum + file.size, 0);
    try {
      await new PutRoom(this.#context, { ...first.place, size }).checkDisk();
    } catch (error) {
      for (const one of this.#accepted) this.#fail(one, toFshError(error));
      this.#accepted = [];
    }
  }

  /** Shows chunks of those that are still accepted to the plugins, all together. */
  async #inspect(
    chunkOf: (file: PackedFile) => { chunk: Uint8Array; offset: number },
    wanted: (file: PackedFile) => boolean = () => true,
  ): Promise<void> {
    const shown = this.#accepted.filter(({ file }) => wanted(file));
    const refusals = await this.#context.content?.check(shown.map(({ index, file, place }) => {
      return { ...chunkOf(file), place, size: file.size, transfer: this.#transfer(index) };
    })) ?? [];
    const refused = new Map(shown.map((one, at) => [one, refusals[at] ?? null]));
    this.#accepted = this.#accepted.filter((one) => {
      const refusal = refused.get(one);
      if (refusal) this.#fail(one, refusal);
      return !refusal;
    });
  }

  /** Answers those whose folder is missing. */
  async #write(some: readonly OnItsWay[], options: { readonly noReplace: boolean }) {
    if (some.length === 0) return [];
    const files = some.map(({ file: { content, modified, mode }, place }) => {
      return { path: place.real, content, modified, mode };
    });
    const failures = await this.#context.storage.writeSmall(files, options);
    return some.flatMap((one, at) => {
      const error = failures[at];
      if (!error) this.#stored(one);
      else if (error.error === "NOT_FOUND") return [{ one, error }];
      else this.#fail(one, error);
      return [];
    });
  }

  async #makeFolder(place: Place): Promise<FshError | null> {
    try {
      await makePlaces(await placeAbove(place, this.#context), this.#context);
      return null;
    } catch (error) {
      return toFshError(error);
    }
  }

  #stored(one: OnItsWay): void {
    const { report } = this.#context;
    if (!report.heard) return;
    const deed = this.#deed(one);
    report.committed(deed);
    report.answered(deed);
  }

  #fail(one: OnItsWay, error: FshError): void {
    this.outcomes[one.index] = { code: error.code, detail: (error.detail ?? "").slice(0, 80) };
    const { report, refused } = this.#context;
    refused?.(error);
    if (report.heard) report.answered(this.#deed(one), error);
  }

  #deed({ index, file: { size, content, digest }, place }: OnItsWay): Deed {
    return {
      place,
      transfer: this.#transfer(index),
      size,
      bytes: content.length,
      digest: digestText({ algorithm: this.#algorithm, digest }),
    };
  }

  #transfer(index: number): string {
    return `${this.#context.report.transfer}.${this.#begun + index}`;
  }
}
