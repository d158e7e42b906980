import { loadLinux } from "./linux.ts";
import type { Native } from "./native.ts";
import { noNative } from "./none.ts";

const loaded = load();

/** What this platform has; FSH_NATIVE=off in the environment takes the portable way everywhere. */
export function native(): Native {
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
