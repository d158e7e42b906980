import { createHash } from "node:crypto";
import { encodeUtf8 } from "../base/bytes.ts";
import type { PublicKey } from "../base/public_key.ts";

/** Names what is signed, so that no signature made for something else fits, nor this one anywhere else. */
const KEY_CONTEXT = "fsh/1 publickey";
const CERTIFICATE_CONTEXT = "fsh/1 certificate";

/** Bytes of the server's challenge. */
export const CHALLENGE_BYTES = 32;

/** What a client signs to prove that it owns a key: PROTOCOL.md, "Public keys". */
export function keyProof(facts: {
  readonly user: string;
  readonly key: PublicKey;
  readonly challenge: Uint8Array;
  /** See `hashHellos`. */
  readonly hellos: Uint8Array;
}): Uint8Array {
  return joined([encodeUtf8(KEY_CONTEXT), facts.hellos, facts.challenge, encodeUtf8(facts.user), facts.key.blob]);
}

/** What a client signs to prove that it owns a certificate: PROTOCOL.md, "Client certificates". */
export function certificateProof(facts: {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly challenge: Uint8Array;
  readonly hellos: Uint8Array;
}): Uint8Array {
  return joined([encodeUtf8(CERTIFICATE_CONTEXT), facts.hellos, facts.challenge, facts.certificate]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes: number[] = [];
  for (const part of parts) bytes.push(part.length >> 8, part.length & 0xff, ...part);
  return Uint8Array.from(bytes);
}

/** SHA-256 of both HELLO frames as they went over the wire. */
export function hashHellos(client: Uint8Array, server: Uint8Array): Uint8Array {
  return createHash("sha256").update(client).update(server).digest();
}
