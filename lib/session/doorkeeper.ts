import { randomBytes } from "node:crypto";
import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import type { CertificateFacts } from "../base/client_trust.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { Turns } from "../base/concurrency.ts";
import { FshError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import { PublicKey } from "../base/public_key.ts";
import { checkPassword, ScramServer } from "../base/scram.ts";
import { fakeVerifier, formatVerifier, parseVerifier, type Verifier } from "../base/scram_verifier.ts";
import type { Admission, User } from "../hooks/event.ts";
import type { FrameFields } from "../wire/frames.ts";
import { CHALLENGE_BYTES, keyProof } from "./key_proof.ts";
import { type Method, METHODS, READABLE, READABLE_ON_THE_WAY } from "./methods.ts";

/** Milliseconds before a refusal: guessing is slow, and how long it took tells nothing. */
const PAUSE = { least: 150, most: 250 };

/** Checking a password keeps a processor busy for half a second: a crowd that guesses gets no more than this of them. */
const comparisons = new Turns(2);

/** What a client came with. */
export interface Offer {
  readonly method: Method;
  /** Who it claims to be; empty: nobody in particular. */
  readonly user: string;
  readonly token?: string;
  readonly password?: string;
  /** A public key, `ssh-ed25519 AAAA…`; the client has proved to own it. */
  readonly key?: string;
}

/**
 * Decides over an offer. With `scram-sha-256` nothing is proved yet: the answer must bring a verifier, and anything else
 * is a refusal. With `password` it may bring one, too, and the password is then checked against it. A refusal without a
 * reason looks the same whatever was wrong; a reason is told to the client. `signal`: the client has gone.
 */
export type Authenticate = (offer: Offer, options: { readonly signal: AbortSignal }) => Admission | Promise<Admission>;

export interface DoorkeeperOptions {
  readonly methods?: readonly string[];
  readonly authenticate?: Authenticate;
  readonly secure?: boolean;
  /** Whose certificate the client has proved to own. */
  readonly certificate?: CertificateFacts | undefined;
  readonly clock?: Clock;
  readonly log?: Log;
}

/** What comes of an AUTH: more to be asked, and whether the client is in. */
export interface Answer {
  readonly challenge?: Uint8Array;
  readonly user?: User;
}

/** Who wanted to come in. */
export interface Claim {
  readonly method: string;
  readonly user: string;
  /** Why that came to nothing, as soon as it is decided: before the client hears of it, which may not wait for it. */
  readonly refusal?: FshError;
}

type Auth = FrameFields<"AUTH">;

/** The server's half of authentication: takes AUTH frames, one at a time, and lets one user in or nobody. */
export class Doorkeeper {
  readonly #options: DoorkeeperOptions;
  readonly #hellos: () => Uint8Array;
  readonly #gone = new AbortController();
  #claim: Claim | null = null;
  /** What the next AUTH continues; null while one is judged, and where none is due. */
  #next: ((data: Uint8Array) => Answer | Promise<Answer>) | null = null;

  /** `hellos`: hash of both HELLO frames. */
  constructor(options: DoorkeeperOptions, hellos: () => Uint8Array) {
    this.#options = options;
    this.#hellos = hellos;
  }

  /** Who wants to come in, and how; null before the first AUTH. Not proved. */
  get claim(): Claim | null {
    return this.#claim;
  }

  /** Answers at once where nobody has to be asked. @throws {FshError} AUTH_FAILED, BAD_FIELD, BAD_UTF8, UNEXPECTED_FRAME */
  receive(auth: Auth): Answer | Promise<Answer> {
    return this.#claim === null ? this.#begin(auth) : this.#continue(auth);
  }

  /** The client has gone: whoever is still judging need not. */
  stop(): void {
    this.#gone.abort();
  }

  #begin(auth: Auth): Answer | Promise<Answer> {
    const { methods = [], secure = false } = this.#options;
    const method = METHODS.find((one) => one === auth.method);
    if (!method || !methods.includes(method)) {
      throw new FshError("AUTH_FAILED", { detail: `method ${auth.method} is not offered` });
    }
    this.#claim = { method, user: auth.user };
    if (READABLE.includes(method) && !secure) throw new FshError("AUTH_FAILED", { detail: READABLE_ON_THE_WAY });
    const { user, data } = auth;
    switch (method) {
      case "anonymous":
        if (data.length > 0) throw wrongAuth("anonymous comes without data");
        return this.#judge({ method, user: this.#options.certificate?.name ?? user });
      case "token":
        return data.length === 0 ? this.#refuse() : this.#judge({ method, user, token: textOf(data) });
      case "password":
        return data.length === 0 ? this.#refuse() : this.#judge({ method, user, password: textOf(data) });
      case "publickey":
        return this.#challengeKey(user, PublicKey.fromBlob(data));
      case "scram-sha-256":
        return this.#challengePassword(user, new ScramServer(textOf(data)));
    }
  }

  #continue(auth: Auth): Answer | Promise<Answer> {
    const next = this.#next;
    this.#next = null;
    if (!next || auth.method !== this.#claim?.method || auth.user !== this.#claim.user) {
      throw new FshError("UNEXPECTED_FRAME", { subject: "AUTH", detail: "one at a time, and one attempt per session" });
    }
    return next(auth.data);
  }

  #ask(offer: Offer): Admission | Promise<Admission> {
    const { authenticate } = this.#options;
    return authenticate?.(offer, { signal: this.#gone.signal }) ?? { allow: false };
  }

  #judge(offer: Offer): Answer | Promise<Answer> {
    const admission = this.#ask(offer);
    if (admission instanceof Promise) return admission.then((admission) => this.#conclude(offer, admission));
    return this.#conclude(offer, admission);
  }

  #conclude(offer: Offer, admission: Admission): Answer | Promise<Answer> {
    if (!("user" in admission)) {
      return offer.password === undefined || admission.reason !== undefined
        ? this.#refuse(admission.reason)
        // As slow as if there were such a user.
        : this.#compare(offer.password, { verifier: formatVerifier(fakeVerifier(offer.user)) });
    }
    if (!("verifier" in admission)) return this.#admit(admission.user);
    // Nothing else proves a password.
    if (offer.password === undefined) return this.#refuse();
    return this.#compare(offer.password, admission);
  }

  async #compare(password: string, known: { readonly verifier: string; readonly user?: User }): Promise<Answer> {
    const verifier = formatVerifier(this.#parse(known));
    const right = await comparisons.take(async () =>
      !this.#gone.signal.aborted && await checkPassword(verifier, password)
    );
    return right && known.user ? await this.#admit(known.user) : await this.#refuse();
  }

  #challengeKey(user: string, key: PublicKey): Answer {
    const challenge = randomBytes(CHALLENGE_BYTES);
    this.#next = (signature) => {
      const proof = keyProof({ user, key, challenge, hellos: this.#hellos() });
      // Whether the key is known is asked only now: nobody else's keys can be probed.
      return key.verifies(signature, proof)
        ? this.#judge({ method: "publickey", user, key: key.text })
        : this.#refuse();
    };
    return { challenge };
  }

  async #challengePassword(user: string, exchange: ScramServer): Promise<Answer> {
    if (exchange.user !== user) throw wrongAuth("two names in one frame");
    const admission = await this.#ask({ method: "scram-sha-256", user });
    if ("reason" in admission && admission.reason !== undefined) return await this.#refuse(admission.reason);
    const known = "verifier" in admission ? admission : null;
    const challenge = encodeUtf8(exchange.first(known ? this.#parse(known) : fakeVerifier(user)));
    this.#next = async (data) => {
      const final = exchange.final(textOf(data));
      if (final === null || known === null) return await this.#refuse();
      return { ...await this.#admit(known.user), challenge: encodeUtf8(final) };
    };
    return { challenge };
  }

  /** What is no verifier lets nobody in, and its owner hears of it. */
  #parse(known: { readonly verifier: string; readonly user?: User }): Verifier {
    try {
      return parseVerifier(known.verifier);
    } catch (error) {
      const { log = silentLog } = this.#options;
      const { user = "" } = this.#claim ?? {};
      log.error("a user's verifier can't be read", { user, error: String(error) });
      return fakeVerifier(user);
    }
  }

  #admit(user: User): Answer | Promise<Answer> {
    if (user.expires !== undefined && !(Date.now() < user.expires)) return this.#refuse("the account has expired");
    return { user };
  }

  async #refuse(reason = "these credentials let nobody in"): Promise<never> {
    const { clock = systemClock } = this.#options;
    const refusal = new FshError("AUTH_FAILED", { detail: reason });
    if (this.#claim) this.#claim = { ...this.#claim, refusal };
    await new Promise<void>((resolve) => {
      const cancel = clock.after(PAUSE.least + Math.random() * (PAUSE.most - PAUSE.least), resolve);
      this.#gone.signal.addEventListener("abort", () => (cancel(), resolve()), { once: true });
      if (this.#gone.signal.aborted) cancel(), resolve();
    });
    throw refusal;
  }
}

function wrongAuth(detail: string): FshError {
  return new FshError("BAD_FIELD", { subject: "AUTH", detail });
}

function textOf(data: Uint8Array): string {
  try {
    return decodeUtf8(data);
  } catch {
    throw new FshError("BAD_UTF8", { subject: "AUTH" });
  }
}
