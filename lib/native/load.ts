import { loadLinux } from "./linux.ts";
import type { Native } from "./native.ts";
import { noNative } from "./none.ts";

let loaded: Native | null = null;

/** What this platform has; FSH_NATIVE=off in the environment takes the portable way everywhere. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  try {
    if (Deno.build.os === "linux" && Deno.env.get("FSH_NATIVE") !== "off") return loadLinux();
  } catch {
    // Another C library, or no permission for FFI.
  }
  return noNative;
}
