/** Ways to come in that are known here, by their names on the wire; what a server without accounts offers stands first. */
export const METHODS = ["anonymous", "publickey", "scram-sha-256", "token", "password"] as const;
export type Method = (typeof METHODS)[number];

/** Ways in which the secret itself crosses the connection: only where nobody can read along. */
export const READABLE: readonly string[] = ["token", "password"];

/** Why a secret is not sent, or not taken. */
export const READABLE_ON_THE_WAY =
  "tokens and plain passwords go over TLS or within one machine only, because others could read them on the way";
