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
  #read: Read;
  #tell: ((pem: string) => Promise<void>) | undefined;

  private constructor(file: string, read: Read) {
    this.#file = file;
    this.#read = read;
  }

  /** Undefined without the option. @throws {FshError} USAGE, NOT_FOUND, NOT_PERMITTED, naming the file */
  static async of(args: Args): Promise<MutualTrust | undefined> {
    if (!args.has("mutual")) return undefined;
    const file = args.value("mutual");
    return new MutualTrust(file, await read(file));
  }

  get current(): ClientTrust {
    return this.#read.trust;
  }

  /** The certificates in PEM. */
  get pem(): string {
    return this.#read.pem;
  }

  /** Has somebody else hear of other certificates as well, in PEM. */
  alsoTell(tell: (pem: string) => Promise<void>): void {
    this.#tell = tell;
  }

  /** What can't be read changes nothing; then the answer says why. */
  async reload(log: Log): Promise<string | null> {
    try {
      this.#read = await read(this.#file);
      await this.#tell?.(this.pem);
      log.info("client certificates loaded anew", { file: this.#file });
      return null;
    } catch (error) {
      const { message } = toFshError(error);
      log.error("client certificates can't be loaded, those of before hold", { error: message });
      return message;
    }
  }
}

interface Read {
  readonly pem: string;
  readonly trust: ClientTrust;
}

async function read(file: string): Promise<Read> {
  try {
    const pem = await requireText(file);
    return { pem, trust: await ClientTrust.parse(pem) };
  } catch (error) {
    throw toFshError(error).about(file);
  }
}
