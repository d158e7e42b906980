import { FshError, isError } from "../base/errors.ts";
import { PrivateKey } from "../base/private_key.ts";
import { printable } from "../base/bytes.ts";
import type { FshUrl } from "../client/url.ts";
import type { Credentials } from "../session/handshake.ts";
import type { Args, Environment, OptionRow } from "./args.ts";
import { CLIENT_CERTIFICATE_OPTIONS, clientCertificate } from "./client_certificate.ts";
import { canPrompt, promptPassword } from "./password_prompt.ts";
import { readSecretFile, readSecretLine } from "./secret_file.ts";

/** None of them takes the secret itself: others see the arguments of a program. */
export const LOGIN_OPTIONS: readonly OptionRow[] = [
  { name: "password-file", value: "FILE", help: "the password of the URL's user; or FSH_PASSWORD, or a prompt" },
  { name: "token-file", value: "FILE", help: "a token, which goes over TLS or within one machine only; or FSH_TOKEN" },
  { name: "identity", value: "FILE", help: "an Ed25519 private key: fsh keygen makes one; or FSH_IDENTITY" },
  ...CLIENT_CERTIFICATE_OPTIONS,
];

/** Logins of a command, by user and server: its other connections show the same, and nobody is asked twice. */
const logins = new WeakMap<Args, Map<string, Promise<Login>>>();

/** What a command shows to a server, from options, environment or the terminal. */
export class Login {
  readonly #credentials: Credentials;
  /** Set while a password was wanted that nobody was asked for yet. */
  #wanted = false;
  #password: string | undefined;

  private constructor(own: Omit<Credentials, "password" | "passwordOnDemand"> & { readonly password?: string }) {
    const { password, ...rest } = own;
    this.#password = password;
    const known = password !== undefined;
    const possible = known || (own.user !== "" && !own.token && !own.key && canPrompt());
    const ask = { password: () => Promise.resolve(this.#given()), passwordOnDemand: !known };
    this.#credentials = { ...rest, ...(possible ? ask : {}) };
  }

  /** @throws {FshError} USAGE: a file that holds no secret, or none that can be used */
  static of(url: FshUrl, args: Args): Promise<Login> {
    const known = logins.get(args) ?? new Map<string, Promise<Login>>();
    logins.set(args, known);
    const name = JSON.stringify([url.scheme, url.hostname, url.port, url.user]);
    const login = known.get(name) ?? Login.#read(url, args);
    known.set(name, login);
    return login;
  }

  static async #read({ user }: FshUrl, args: Args): Promise<Login> {
    if (args.has("password-file") && user === "") {
      throw new FshError("USAGE", { subject: "--password-file", detail: "whose? Name the user: fsh://USER@host/" });
    }
    const secret = async (option: string, variable: string) =>
      args.has(option) ? await readSecretLine(args.value(option)) : Deno.env.get(variable) || undefined;
    const password = user === "" ? undefined : await secret("password-file", "FSH_PASSWORD");
    const token = await secret("token-file", "FSH_TOKEN");
    const identity = args.has("identity") ? args.value("identity") : Deno.env.get("FSH_IDENTITY") || undefined;
    const key = identity === undefined ? undefined : await readKey(identity);
    const certificate = await clientCertificate(args);
    return new Login({
      user,
      ...(password === undefined ? {} : { password }),
      ...(token === undefined ? {} : { token }),
      ...(key === undefined ? {} : { key }),
      ...(certificate === undefined ? {} : { certificate }),
    });
  }

  /**
   * Connects. Where the server wants a password that has to be asked for, it is asked for between two connections: no
   * handshake waits for somebody to type.
   */
  async connect<T>(
    connect: (credentials: Credentials) => Promise<T>,
    options: { readonly url: FshUrl; readonly environment: Environment },
  ): Promise<T> {
    try {
      return await connect(this.#credentials);
    } catch (error) {
      if (!this.#wanted || !isError(error, "GOING_AWAY")) throw this.#advised(error);
    }
    this.#wanted = false;
    const { url, environment } = options;
    this.#password = await promptPassword(
      `Password of ${printable(`${url.user}@${url.hostname}`)}: `,
      environment.signal,
    );
    return await connect(this.#credentials);
  }

  /** Who came with nothing and was refused learns what there is to come with. */
  #advised(error: unknown): unknown {
    const { user, key, token } = this.#credentials;
    if (!isError(error, "AUTH_FAILED") || !error.remote || key || token || this.#password !== undefined) return error;
    const advice = `you came without credentials: ${user === "" ? "name the user, as in fsh://USER@host/, and " : ""}` +
      "set FSH_PASSWORD, FSH_TOKEN or FSH_IDENTITY";
    const detail = error.detail === undefined ? advice : `${error.detail}; ${advice}`;
    return new FshError("AUTH_FAILED", { subject: error.subject, detail, remote: true, cause: error });
  }

  #given(): string {
    if (this.#password !== undefined) return this.#password;
    this.#wanted = true;
    // For the server: this client leaves without having tried anything.
    throw new FshError("GOING_AWAY", { detail: "to ask for the password" });
  }
}

async function readKey(path: string): Promise<PrivateKey> {
  const text = await readSecretFile(path);
  try {
    return await PrivateKey.parse(text);
  } catch (error) {
    throw error instanceof FshError ? error.about(path) : error;
  }
}
