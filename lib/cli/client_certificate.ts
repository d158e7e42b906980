import { FshError } from "../base/errors.ts";
import { OwnCertificate } from "../base/own_certificate.ts";
import { requireText } from "../hooks/replace_file.ts";
import type { Args, OptionRow } from "./args.ts";
import { readSecretFile } from "./secret_file.ts";

/** What a client shows to a server that was started with --mutual. */
export const CLIENT_CERTIFICATE_OPTIONS: readonly OptionRow[] = [
  { name: "client-cert", value: "FILE", help: "a certificate in PEM for servers that want one; or FSH_CLIENT_CERT" },
  { name: "client-key", value: "FILE", help: "its key, if that is not in the same file; or FSH_CLIENT_KEY" },
];

/** @throws {FshError} USAGE, NOT_FOUND, NOT_PERMITTED, naming the file */
export async function clientCertificate(args: Args): Promise<OwnCertificate | undefined> {
  const named = (option: string, variable: string) =>
    args.has(option) ? args.value(option) : Deno.env.get(variable) || undefined;
  const file = named("client-cert", "FSH_CLIENT_CERT");
  const keyFile = named("client-key", "FSH_CLIENT_KEY") ?? file;
  if (file === undefined) {
    if (keyFile === undefined) return undefined;
    throw new FshError("USAGE", { subject: "--client-key", detail: "whose key? Name the certificate: --client-cert" });
  }
  const key = await readSecretFile(keyFile ?? file);
  const cert = file === keyFile ? key : await requireText(file);
  try {
    return OwnCertificate.parse({ cert, key });
  } catch (error) {
    throw error instanceof FshError ? error.about(file) : error;
  }
}
