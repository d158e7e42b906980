import { loadLinux } from "./linux.ts";
import type { Native } from "./native.ts";
import { noNative } from "./none.ts";

const loaded = load();

/** What this platform has; FSH_NATIVE=off in the environment takes the portable way everywhere. */
export function native(): Native {
  return loaded;
}

function load(): Native {
  if (Deno.build.os !== "linux") return noNative("only Linux has openat2");
  try {
    return Deno.env.get("FSH_NATIVE") === "off" ? noNative("FSH_NATIVE=off") : loadLinux();
  } catch {
    return noNative("the GNU C library can't be called");
  }
}
