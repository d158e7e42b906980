/** Blocks of PEM (RFC 7468). A text may hold several, and other things beside. */
const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----[^-]+-----END \1-----/;

/** The certificates in a text, in their order. */
export function certificatesIn(text: string): readonly string[] {
  return text.match(CERTIFICATES) ?? [];
}

/** The first private key in a text that is not encrypted. */
export function privateKeyIn(text: string): string | undefined {
  return PRIVATE_KEY.exec(text)?.[0];
}
