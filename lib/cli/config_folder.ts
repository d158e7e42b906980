import { join } from "@std/path";
import { FshError } from "../base/errors.ts";
import { osError } from "../storage/os_error.ts";

/**
 * The user's configuration folder: `$XDG_CONFIG_HOME/fsh` or `~/.config/fsh`, on Windows `%APPDATA%\fsh`. Null where the
 * environment names none.
 */
export function configFolder(): string | null {
  const home = Deno.env.get("HOME") || Deno.env.get("USERPROFILE");
  const usual = Deno.build.os === "windows" ? Deno.env.get("APPDATA") : undefined;
  const folder = Deno.env.get("XDG_CONFIG_HOME") || usual || (home ? join(home, ".config") : undefined);
  return folder === undefined ? null : join(folder, "fsh");
}

/**
 * Where a file of that name is in the configuration folder, which is made, for its owner only.
 *
 * @param otherwise what to do where the environment names no folder
 * @throws {FshError} USAGE, and what making a folder fails with
 */
export async function configFile(name: string, otherwise: string): Promise<string> {
  const folder = configFolder();
  if (folder === null) {
    throw new FshError("USAGE", { subject: name, detail: `where to? HOME is not set; ${otherwise}` });
  }
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw osError(error, folder);
  }
  return join(folder, name);
}
