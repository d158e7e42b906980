import { printable } from "../base/bytes.ts";
import { FshError, isError } from "../base/errors.ts";
import { PrivateKey } from "../base/private_key.ts";
import { osError } from "../storage/os_error.ts";
import type { Subcommand } from "./args.ts";
import { configFile } from "./config_folder.ts";
import { displayName, print } from "./output.ts";

export const keygenCommand: Subcommand = {
  name: "keygen",
  usage: ["[--comment TEXT] [FILE]"],
  summary: "make a key pair (Ed25519) to log in with",
  details:
    `Writes the private key to FILE, readable for its owner only, and the public one to FILE.pub; neither may be there
already. FILE.pub has one line, as OpenSSH has it: it goes to whoever runs the server. Without FILE:
$XDG_CONFIG_HOME/fsh/id_ed25519, or ~/.config/fsh/id_ed25519. Keys that ssh-keygen made serve as well.

  fsh keygen
  fsh ls --identity ~/.config/fsh/id_ed25519 fsh://user@host/`,
  options: [{ name: "comment", value: "TEXT", help: "stands behind the public key, to tell it from others" }],
  operands: { min: 0, max: 1 },

  async run(args) {
    const comment = args.has("comment") ? args.value("comment") : "";
    if (printable(comment) !== comment) {
      throw new FshError("USAGE", { subject: "--comment", detail: "one line, without control characters" });
    }
    const [given] = args.operands;
    const file = given ?? await configFile("id_ed25519", "name a FILE");
    const { publicKey } = await writePair(file, PrivateKey.generate(comment));
    print(`private key: ${displayName(file)}`);
    print(`public key:  ${displayName(file)}.pub`);
    print(`fingerprint: ${publicKey.fingerprint}`);
    return 0;
  },
};

/** Both files or neither. @throws {FshError} EXISTS, and what else writing fails with */
async function writePair(file: string, key: PrivateKey): Promise<PrivateKey> {
  await writeNew(file, { text: key.pem, mode: 0o600 });
  try {
    await writeNew(`${file}.pub`, { text: `${key.publicKey.line}\n`, mode: 0o644 });
  } catch (error) {
    await Deno.remove(file);
    throw error;
  }
  return key;
}

/** A file that was not there before; where it can't be written in full, it isn't there afterwards either. */
async function writeNew(path: string, { text, mode }: { text: string; mode: number }): Promise<void> {
  try {
    await Deno.writeTextFile(path, text, { createNew: true, mode });
  } catch (thrown) {
    const error = osError(thrown, path);
    if (isError(error, "EXISTS")) {
      throw new FshError("EXISTS", { subject: path, detail: "keys are never replaced; name another FILE" });
    }
    if (isError(error, "NO_SPACE", "STORAGE_FAILED")) await Deno.remove(path).catch(() => {});
    throw error;
  }
}
