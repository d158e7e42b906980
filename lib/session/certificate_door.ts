import { randomBytes } from "node:crypto";
import { type CertificateFacts, ClientCertificate, type ClientTrust } from "../base/client_trust.ts";
import { FshError } from "../base/errors.ts";
import type { OwnCertificate } from "../base/own_certificate.ts";
import type { FrameFields } from "../wire/frames.ts";
import { certificateProof, CHALLENGE_BYTES } from "./key_proof.ts";

/** Capability of a server that wants a certificate of every client, and the method of the AUTH frames that bring it. */
export const CERTIFICATE = "certificate";

type Auth = FrameFields<"AUTH">;

interface Asked {
  readonly certificate: ClientCertificate;
  readonly challenge: Uint8Array;
}

/** The server's half: lets nobody get to the doorkeeper who has not proved to own a certificate that is trusted. */
export class CertificateDoor {
  readonly #trust: ClientTrust;
  readonly #hellos: () => Uint8Array;
  #asked: Asked | null = null;
  /** Whose certificate it is; null before that was proved. */
  passed: CertificateFacts | null = null;
  /** The name in a certificate that was shown, proved or not; why it was refused. */
  claim: { readonly method: string; readonly user: string; readonly refusal?: FshError } | null = null;

  constructor(trust: ClientTrust, hellos: () => Uint8Array) {
    this.#trust = trust;
    this.#hellos = hellos;
  }

  /** The data of the CHALLENGE that answers; none: the client is through. @throws {FshError} AUTH_FAILED, UNEXPECTED_FRAME */
  receive({ method, data }: Auth): Uint8Array {
    if (method !== CERTIFICATE) {
      throw new FshError("AUTH_FAILED", { detail: "this server wants a client certificate first" });
    }
    try {
      return this.#asked ? this.#judge(this.#asked, data) : this.#challenge(data);
    } catch (error) {
      if (error instanceof FshError) this.claim = { method, user: this.claim?.user ?? "", refusal: error };
      throw error;
    }
  }

  #challenge(der: Uint8Array): Uint8Array {
    const certificate = ClientCertificate.parse(der);
    this.claim = { method: CERTIFICATE, user: certificate.name };
    const challenge = randomBytes(CHALLENGE_BYTES);
    this.#asked = { certificate, challenge };
    return challenge;
  }

  #judge({ certificate, challenge }: Asked, signature: Uint8Array): Uint8Array {
    const proof = certificateProof({ certificate: certificate.der, challenge, hellos: this.#hellos() });
    if (!certificate.verifies(signature, proof)) {
      throw new FshError("AUTH_FAILED", { detail: "the client does not have the key of its certificate" });
    }
    this.#trust.check(certificate);
    this.passed = certificate.facts;
    return new Uint8Array();
  }
}

/** The client's half: shows its certificate before it says who it is. */
export class CertificateVisitor {
  readonly #own: OwnCertificate;
  readonly #hellos: () => Uint8Array;
  #signed = false;

  /** @throws {FshError} AUTH_FAILED: there is none to show */
  constructor(own: OwnCertificate | undefined, hellos: () => Uint8Array) {
    if (!own) {
      throw new FshError("AUTH_FAILED", {
        detail: "the server wants a client certificate: name it by --client-cert FILE, its key by --client-key FILE",
      });
    }
    this.#own = own;
    this.#hellos = hellos;
  }

  begin(): Auth {
    return { method: CERTIFICATE, user: "", data: this.#own.der };
  }

  /** The answer to a CHALLENGE; null: the server is content. @throws {FshError} BAD_FIELD */
  challenge(challenge: Uint8Array): Auth | null {
    if (challenge.length !== (this.#signed ? 0 : CHALLENGE_BYTES)) {
      throw new FshError("BAD_FIELD", { subject: "CHALLENGE", detail: `${CHALLENGE_BYTES} bytes are due, then none` });
    }
    if (this.#signed) return null;
    this.#signed = true;
    const proof = certificateProof({ certificate: this.#own.der, challenge, hellos: this.#hellos() });
    return { method: CERTIFICATE, user: "", data: this.#own.sign(proof) };
  }
}
