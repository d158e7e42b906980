import { ClientTrust } from "../base/client_trust.ts";
import { toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { requireText } from "../hooks/replace_file.ts";
import type { Args, OptionRow } from "./args.ts";

export const MUTUAL_OPTION: OptionRow = {
  name: "mutual",
  value: "FILE",
  help: "let in only who has one of the certificates in FILE (PEM), or one that they have signed; needs TLS",
};

/** The certificates of --mutual, read anew when asked to. */
export class MutualTrust {
  readonly #file: string;
  #trust: ClientTrust;

  private constructor(file: string, trust: ClientTrust) {
    this.#file = file;
    this.#trust = trust;
  }

  /** Undefined without the option. @throws {FshError} USAGE, NOT_FOUND, NOT_PERMITTED, naming the file */
  static async of(args: Args): Promise<MutualTrust | undefined> {
    if (!args.has("mutual")) return undefined;
    const file = args.value("mutual");
    return new MutualTrust(file, await read(file));
  }

  get current(): ClientTrust {
    return this.#trust;
  }

  /** What can't be read changes nothing; then the answer says why. */
  async reload(log: Log): Promise<string | null> {
    try {
      this.#trust = await read(this.#file);
      log.info("client certificates loaded anew", { file: this.#file });
      return null;
    } catch (error) {
      const { message } = toFshError(error);
      log.error("client certificates can't be loaded, those of before hold", { error: message });
      return message;
    }
  }
}

async function read(file: string): Promise<ClientTrust> {
  try {
    return await ClientTrust.parse(await requireText(file));
  } catch (error) {
    throw toFshError(error).about(file);
  }
}
