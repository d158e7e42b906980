import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { FshError } from "../base/errors.ts";
import type { OwnCertificate } from "../base/own_certificate.ts";
import type { PrivateKey } from "../base/private_key.ts";
import { ScramClient, strangeServer } from "../base/scram.ts";
import { saltPassword } from "../base/scram_verifier.ts";
import type { FrameFields } from "../wire/frames.ts";
import { CHALLENGE_BYTES, keyProof } from "./key_proof.ts";
import { type Method, METHODS, READABLE_ON_THE_WAY } from "./methods.ts";

/** What a client can show. */
export interface Credentials {
  /** Empty: nobody in particular. */
  readonly user: string;
  /**
   * Called once a session where the server wants one; it never sees it, unless it offers nothing better and nobody can
   * read along.
   */
  readonly password?: () => Promise<string>;
  /** The password would have to be asked for first: where the server is content with nobody, it isn't. */
  readonly passwordOnDemand?: boolean;
  readonly token?: string;
  readonly key?: PrivateKey;
  /** Shown to a server that wants one of every client, before all else. */
  readonly certificate?: OwnCertificate;
}

type Auth = FrameFields<"AUTH">;

/** The client's half of authentication: picks a method that the server offers and goes through its steps. */
export class Applicant {
  readonly #credentials: Credentials;
  readonly #secure: boolean;
  readonly #hellos: () => Uint8Array;
  #method: Method | null = null;
  /** What to do with the next CHALLENGE; null where none is due. */
  #next: ((data: Uint8Array) => Auth | null | Promise<Auth | null>) | null = null;
  /** Whether all is said that this side had to say and wanted to know. */
  #done = false;

  /** `hellos`: hash of both HELLO frames. */
  constructor(credentials: Credentials, options: { secure: boolean; hellos: () => Uint8Array }) {
    this.#credentials = credentials;
    this.#secure = options.secure;
    this.#hellos = options.hellos;
  }

  /** The first AUTH. @throws {FshError} AUTH_FAILED: nothing that the server offers is possible */
  begin(methods: readonly string[]): Auth | Promise<Auth> {
    const method = this.#method = pickMethod(methods, { credentials: this.#credentials, secure: this.#secure });
    const { token = "", key, user } = this.#credentials;
    if (method === "scram-sha-256") return this.#scram();
    if (method === "password") return this.#password();
    if (method === "publickey" && key) {
      this.#next = (challenge) => this.#sign(key, challenge);
      return { method, user, data: key.publicKey.blob };
    }
    this.#done = true;
    return { method, user, data: encodeUtf8(method === "token" ? token : "") };
  }

  /** The answer to a CHALLENGE; null where none is due. @throws {FshError} */
  challenge(data: Uint8Array): Auth | null | Promise<Auth | null> {
    const next = this.#next;
    if (!next) throw new FshError("UNSUPPORTED", { detail: "a challenge that was not asked for" });
    this.#next = null;
    return next(data);
  }

  /** The server says READY. @throws {FshError} where it can't mean this side, or hasn't shown who it is */
  welcome(): void {
    if (this.#done) return;
    if (this.#method === "scram-sha-256") throw strangeServer();
    throw new FshError("UNEXPECTED_FRAME", { subject: "READY", detail: "nothing was proved yet" });
  }

  async #password(): Promise<Auth> {
    const { user, password } = this.#credentials;
    const data = encodeUtf8(await password?.() ?? "");
    this.#done = true;
    return { method: "password", user, data };
  }

  #sign(key: PrivateKey, challenge: Uint8Array): Auth {
    if (challenge.length !== CHALLENGE_BYTES) {
      throw new FshError("BAD_FIELD", { subject: "CHALLENGE", detail: `${CHALLENGE_BYTES} bytes are due` });
    }
    const { user } = this.#credentials;
    this.#done = true;
    const proof = keyProof({ user, key: key.publicKey, challenge, hellos: this.#hellos() });
    return { method: "publickey", user, data: key.sign(proof) };
  }

  async #scram(): Promise<Auth> {
    // Before the server hears of an attempt: whoever has to be asked may leave first.
    const password = await this.#credentials.password?.() ?? "";
    const salt = (options: Salting) => salted(this.#credentials, { ...options, password });
    const exchange = await ScramClient.start(this.#credentials.user, { salt });
    const auth = (text: string): Auth => ({ method: "scram-sha-256", user: exchange.user, data: encodeUtf8(text) });
    this.#next = async (serverFirst) => {
      const final = auth(await exchange.final(textOf(serverFirst)));
      this.#next = (serverFinal) => {
        exchange.verify(textOf(serverFinal));
        this.#done = true;
        return null;
      };
      return final;
    };
    return auth(exchange.first());
  }
}

interface Salting {
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/** The last salted password of each credentials, so that several sessions with one server pay for it once. */
const remembered = new WeakMap<Credentials, { readonly what: string; readonly salted: Promise<Uint8Array> }>();

function salted(credentials: Credentials, options: Salting & { readonly password: string }): Promise<Uint8Array> {
  const { salt, iterations, password } = options;
  const what = `${iterations}:${salt.join()}:${password}`;
  const last = remembered.get(credentials);
  if (last?.what === what) return last.salted;
  const salted = saltPassword(password, { salt, iterations });
  remembered.set(credentials, { what, salted });
  return salted;
}

/** The best method that is possible; a name without a secret is none. */
function pickMethod(methods: readonly string[], own: { credentials: Credentials; secure: boolean }): Method {
  const { credentials, secure } = own;
  const hasPassword = credentials.password !== undefined && credentials.user !== "";
  const given = credentials.key !== undefined || credentials.token !== undefined ||
    (credentials.password !== undefined && !credentials.passwordOnDemand);
  const possible: Readonly<Record<Method, boolean>> = {
    publickey: credentials.key !== undefined,
    "scram-sha-256": hasPassword,
    token: credentials.token !== undefined && secure,
    password: hasPassword && secure,
    anonymous: !given,
  };
  const [first, ...others] = METHODS;
  const method = [...others, first].find((one) => methods.includes(one) && possible[one]);
  if (method) return method;
  throw new FshError("AUTH_FAILED", { detail: lacking(methods, own) });
}

/** What the server wants, and what to do. */
function lacking(methods: readonly string[], { credentials, secure }: { credentials: Credentials; secure: boolean }) {
  const { user, key, token, password } = credentials;
  const wanted = methods.filter((method) => method !== "anonymous");
  if (wanted.length === 0) {
    return methods.length === 0
      ? "the server lets nobody in"
      : "the server knows no users: leave the password, token or key away to come in without";
  }
  const advice = new Set<string>();
  for (const method of wanted) {
    if (method === "publickey" && !key) advice.add("name a key file by --identity or FSH_IDENTITY");
    if (method === "token" && token === undefined && secure) advice.add("set FSH_TOKEN");
    if (method === "scram-sha-256" || (method === "password" && secure)) {
      if (user === "") advice.add("name the user, as in fsh://USER@host/");
      if (!password) advice.add("set FSH_PASSWORD");
    }
  }
  if (advice.size === 0) advice.add(secure ? "this version knows nothing of that" : READABLE_ON_THE_WAY);
  return `the server asks for ${wanted.join(" or ")}; ${[...advice].join(", ")}`;
}

function textOf(data: Uint8Array): string {
  try {
    return decodeUtf8(data);
  } catch {
    throw new FshError("BAD_UTF8", { subject: "CHALLENGE" });
  }
}
