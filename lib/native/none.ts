import type { Native } from "./native.ts";

/** The portable fallback: the runtime alone, and why. */
export function noNative(reason: string): Native {
  return {
    name: "none",
    sockets: null,
    descriptors: null,
    unconfined: reason,
    heap: null,
    privileges: null,
    process: null,
    socketTable: null,
    localPeers: null,
  };
}
