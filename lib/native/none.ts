import type { Native } from "./native.ts";

/** The portable fallback: the runtime alone. */
export const noNative: Native = { name: "none", sockets: null, descriptors: null, heap: null, process: null };
