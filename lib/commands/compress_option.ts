import type { CompressMode } from "../wire/compression.ts";
import { OPTION_COMPRESS_ALWAYS, OPTION_COMPRESS_AUTO } from "../wire/frames.ts";

/** How an answer is to be compressed, as `options` fields have it. */
export function compressOption(mode: CompressMode = "never"): number {
  return mode === "always" ? OPTION_COMPRESS_ALWAYS : mode === "auto" ? OPTION_COMPRESS_AUTO : 0;
}

export function compressMode(options: number): CompressMode {
  return options & OPTION_COMPRESS_ALWAYS ? "always" : options & OPTION_COMPRESS_AUTO ? "auto" : "never";
}
