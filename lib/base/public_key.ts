import { Buffer } from "node:buffer";
import { createHash, createPublicKey, verify } from "node:crypto";
import { FshError } from "./errors.ts";

/** The only kind there is here. */
const TYPE = "ssh-ed25519";
const RAW_BYTES = 32;
/** What stands before the key itself in every blob: u32 11, the type, u32 32 (RFC 4253, section 6.6; RFC 8709). */
const PREFIX = Buffer.concat([u32(TYPE.length), Buffer.from(TYPE), u32(RAW_BYTES)]);

/**
 * An Ed25519 public key. Its blob is put together here and not by a library: it is a constant prefix and the 32 bytes, and
 * a server needs it for whoever knocks, before anything heavy should be loaded.
 */
export class PublicKey {
  /** The 32 bytes. */
  readonly raw: Uint8Array;
  readonly comment: string;

  /** `raw`: the 32 bytes of the point. */
  constructor(raw: Uint8Array, comment = "") {
    if (raw.length !== RAW_BYTES) throw malformed(`an Ed25519 key has ${RAW_BYTES} bytes`);
    this.raw = raw;
    this.comment = comment;
  }

  /** Reads what goes over the wire. @throws {FshError} BAD_FIELD */
  static fromBlob(blob: Uint8Array): PublicKey {
    if (blob.length !== PREFIX.length + RAW_BYTES || !PREFIX.equals(blob.subarray(0, PREFIX.length))) {
      throw malformed(`only ${TYPE} keys are known here`);
    }
    return new PublicKey(blob.slice(PREFIX.length));
  }

  /** Reads a line of OpenSSH, `ssh-ed25519 AAAA… comment`. @throws {FshError} BAD_FIELD */
  static parse(line: string): PublicKey {
    const [, type, text = "", comment = ""] = /^(\S+)[ \t]+(\S+)(?:[ \t]+(.*))?$/.exec(line.trim()) ?? [];
    if (type !== TYPE) throw malformed(`a public key reads ${TYPE} AAAA… comment`);
    const blob = Buffer.from(text, "base64");
    if (blob.toString("base64") !== text) throw malformed("it is not base64");
    return new PublicKey(PublicKey.fromBlob(blob).raw, comment);
  }

  get blob(): Uint8Array {
    return Buffer.concat([PREFIX, this.raw]);
  }

  /** `ssh-ed25519 AAAA…`, without the comment: what names the key. */
  get text(): string {
    return `${TYPE} ${Buffer.from(this.blob).toString("base64")}`;
  }

  /** With the comment, as in files. */
  get line(): string {
    return this.comment === "" ? this.text : `${this.text} ${this.comment}`;
  }

  /** `SHA256:…`, as ssh-keygen shows it. */
  get fingerprint(): string {
    return `SHA256:${createHash("sha256").update(this.blob).digest("base64").replace(/=+$/, "")}`;
  }

  /** Whether whoever has the private key signed this. */
  verifies(signature: Uint8Array, data: Uint8Array): boolean {
    const x = Buffer.from(this.raw).toString("base64url");
    try {
      return verify(null, data, createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }), signature);
    } catch {
      // 32 bytes that are no point of the curve.
      return false;
    }
  }
}

/**
 * The keys of an authorized-keys file: one a line, comments (`#`) and blank lines between them. Other types of keys are
 * passed over, as are lines that begin with options: what they ask for is not known here.
 */
export function parseAuthorizedKeys(text: string): PublicKey[] {
  const keys: PublicKey[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (!line.trimStart().startsWith(`${TYPE} `) && !line.trimStart().startsWith(`${TYPE}\t`)) continue;
    try {
      keys.push(PublicKey.parse(line));
    } catch {
      // A line that was cut or mistyped lets nobody in; the others do.
    }
  }
  return keys;
}

function malformed(detail: string): FshError {
  return new FshError("BAD_FIELD", { subject: "public key", detail });
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
