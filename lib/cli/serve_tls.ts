import { Certificate } from "../base/certificate.ts";
import { FshError, toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { certificatesIn, privateKeyIn } from "../base/pem.ts";
import { stampIfSeen, stampOf } from "../hooks/file_stamp.ts";
import { readText, replaceFile, requireText } from "../hooks/replace_file.ts";
import type { SocketTuning } from "../native/socket_tuning.ts";
import { makeSelfSigned } from "../transport/self_signed.ts";
import { JoinedTransport } from "../transport/joined.ts";
import { QuicTransport } from "../transport/quic.ts";
import { mostByQuic } from "../transport/quic_listener.ts";
import { type Identity, TlsTransport } from "../transport/tls.ts";
import type { Args, OptionRow } from "./args.ts";
import { configFile } from "./config_folder.ts";
import { readSecretFile } from "./secret_file.ts";
import { socketTuning } from "./socket_options.ts";

/** Options of a server that encrypts. */
export const TLS_OPTIONS: readonly OptionRow[] = [
  { name: "tls", help: "encrypt (fshs://); the key and certificate for it are made at the first start" },
  {
    name: "cert",
    value: "FILE",
    help: "a certificate of your own in PEM, its chain behind it; --tls is then understood",
  },
  { name: "key", value: "FILE", help: "its private key in PEM, readable for its owner only" },
  { name: "quic", help: "QUIC as well (fshq://), over UDP at the port of the same number; --tls is then understood" },
];

/** The server's own key and certificate in the configuration folder: one file, so that they are never of two minds. */
const OWN_FILE = "server.pem";
/** Milliseconds between two looks at the files; a change counts once it has lasted from one to the next. */
const WATCH_INTERVAL = 2_000;

interface Files {
  readonly cert: string;
  readonly key: string;
}

interface Opened {
  readonly identity: Identity;
  readonly certificate: Certificate;
  readonly stamp: string;
  readonly log: Log;
  /** Connections by QUIC at once; 0: there is no QUIC. */
  readonly quicMost: number;
  readonly tuning: SocketTuning;
}

/** The TLS side of a server: its identity, which is read again when the files change. */
export class ServerTls {
  readonly transport: TlsTransport | JoinedTransport;
  readonly #files: Files;
  readonly #log: Log;
  readonly #timer: ReturnType<typeof setInterval>;
  #identity: Identity;
  #certificate: Certificate;
  #elsewhere: ((identity: Identity) => Promise<void>) | undefined;
  /** Of the files as they were last read. */
  #stamp: string;
  #changing: string | null = null;
  #reading: Promise<void> = Promise.resolve();

  private constructor(files: Files, own: Opened) {
    this.#files = files;
    this.#log = own.log;
    this.#identity = own.identity;
    this.#certificate = own.certificate;
    this.#stamp = own.stamp;
    const { identity, quicMost, tuning } = own;
    const tls = new TlsTransport({ identity, tuning });
    this.transport = quicMost > 0 ? new JoinedTransport(tls, new QuicTransport({ identity, most: quicMost })) : tls;
    this.#timer = setInterval(() => void this.#look(), WATCH_INTERVAL);
  }

  /**
   * Null where the server does not encrypt. `memory`: what it may take altogether, in bytes.
   *
   * @throws {FshError} USAGE: --cert without --key, a key that others can read, files that don't fit or hold no such
   * thing; NOT_FOUND, NOT_PERMITTED, and what making the files fails with
   */
  static async open(args: Args, { log, memory }: { log: Log; memory: number }): Promise<ServerTls | null> {
    const given = args.has("cert") || args.has("key");
    if (!given && !args.has("tls") && !args.has("quic")) return null;
    if (args.has("cert") !== args.has("key")) {
      throw new FshError("USAGE", { subject: "--cert and --key", detail: "each needs the other" });
    }
    const files = given ? { cert: args.value("cert"), key: args.value("key") } : await ownFiles();
    const stamp = await stampOf([files.cert, files.key]);
    const { identity, certificate } = await readIdentity(files);
    warnOfValidity(certificate, log);
    const quicMost = args.has("quic") ? mostByQuic(memory) : 0;
    return new ServerTls(files, { identity, certificate, stamp, log, quicMost, tuning: socketTuning(args) });
  }

  /** Has whoever listens beside `transport` exchange the certificate as well. */
  alsoExchange(exchange: (identity: Identity) => Promise<void>): void {
    this.#elsewhere = exchange;
  }

  get identity(): Identity {
    return this.#identity;
  }

  get fingerprint(): string {
    return this.#certificate.fingerprint;
  }

  /**
   * Reads the files again. What can't be used is logged, and changes nothing; then the answer says why. Sessions stay as
   * they are.
   */
  reload(): Promise<string | null> {
    const reading = this.#reading.then(() => this.#read());
    this.#reading = reading.then(() => {});
    return reading;
  }

  async #read(): Promise<string | null> {
    this.#stamp = await stampOf([this.#files.cert, this.#files.key]);
    this.#changing = null;
    try {
      const { identity, certificate } = await readIdentity(this.#files);
      if (certificate.fingerprint === this.fingerprint) return null;
      await this.transport.exchange(identity);
      await this.#elsewhere?.(identity);
      this.#identity = identity;
      this.#certificate = certificate;
      this.#log.info("certificate exchanged", { fingerprint: certificate.fingerprint });
      warnOfValidity(certificate, this.#log);
      return null;
    } catch (error) {
      const message = toFshError(error).message;
      this.#log.error("certificate not usable; the one before stays", { file: this.#files.cert, error: message });
      return message;
    }
  }

  async #look(): Promise<void> {
    // Files that are gone are no new certificate, nor are root's own where --user has gone on as somebody else.
    const stamp = await stampIfSeen([this.#files.cert, this.#files.key]);
    // Whoever replaces two files does it one after the other.
    if (stamp !== null && stamp !== this.#stamp && stamp === this.#changing) await this.reload();
    else this.#changing = stamp;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }
}

/** The server's own files; made if there are none. Of several that start at once, one makes them. */
async function ownFiles(): Promise<Files> {
  const path = await configFile(OWN_FILE, "use --cert and --key");
  if (await readText(path) === null) {
    await replaceFile(path, async (old) => {
      if (old !== null) return old;
      const { cert, key } = await makeSelfSigned({ names: ["localhost", "127.0.0.1", "::1", ...hostNames()] });
      return key + cert;
    });
  }
  return { cert: path, key: path };
}

function hostNames(): string[] {
  const name = Deno.hostname();
  return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(name) ? [name] : [];
}

async function readIdentity(files: Files): Promise<{ identity: Identity; certificate: Certificate }> {
  const wrong = (subject: string, detail: string) => new FshError("USAGE", { subject, detail });
  const secret = await readSecretFile(files.key);
  const text = files.cert === files.key ? secret : await requireText(files.cert);
  const key = privateKeyIn(secret);
  if (key === undefined) throw wrong(files.key, "it holds no unencrypted private key in PEM");
  const chain = certificatesIn(text).join("\n");
  if (chain === "") throw wrong(files.cert, "it holds no certificate in PEM");
  const certificate = Certificate.fromPem(chain);
  if (certificate.isAuthority) {
    throw wrong(
      files.cert,
      "the first certificate is an authority's, which no client takes for a server; CA:FALSE is due",
    );
  }
  if (!certificate.belongsTo(key)) throw wrong(files.key, `the key is not that of the certificate in ${files.cert}`);
  return { identity: { cert: chain, key }, certificate };
}

function warnOfValidity({ validity: { from, to }, fingerprint }: Certificate, log: Log): void {
  const now = Date.now();
  if (now >= from.getTime() && now <= to.getTime()) return;
  log.warn("certificate not valid now; clients refuse it", {
    fingerprint,
    from: from.toISOString(),
    to: to.toISOString(),
  });
}
