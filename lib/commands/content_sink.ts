import type { FshError } from "../base/errors.ts";
import type { ContentCheck, Place } from "../session/command.ts";
import type { FileWriter } from "../storage/storage.ts";

/** Has the plugins see a file's bytes before they are written. */
export interface ContentSink {
  /** Whether they refused it. */
  readonly refused: boolean;
  /** Shows what was there before, where the put continues something: `most` bytes at once. */
  replay(options: { readonly most: number }): Promise<void>;
  write(chunk: Uint8Array): Promise<void>;
  /** All has come: the last chance to refuse. */
  end(): Promise<void>;
  /** The put has failed: what a plugin still looks at is not written any more. */
  close(): void;
}

/** For a put; its calls reject with NOT_PERMITTED and the plugin's reason. */
export function contentSink(
  content: ContentCheck,
  writer: FileWriter,
  file: { readonly place: Place; readonly size: number | null; readonly transfer: string },
): ContentSink {
  let offset = 0;
  let refusal: FshError | null = null;
  let open = true;
  const show = async (chunk: Uint8Array) => {
    [refusal = null] = await content.check([{ ...file, chunk, offset }]);
    if (refusal) throw refusal;
    offset += chunk.length;
  };
  return {
    get refused() {
      return refusal !== null;
    },
    replay: (options) => writer.replay(show, options),
    async write(chunk) {
      // The chunk is somebody else's as soon as this has been called.
      const own = chunk.slice();
      await show(own);
      if (open) await writer.write(own);
    },
    end: () => show(new Uint8Array(0)),
    close() {
      open = false;
    },
  };
}
