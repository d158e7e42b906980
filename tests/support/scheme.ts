// The scheme that the end-to-end tests use: FSH_TEST_SCHEME=fshq runs them over QUIC, where they do not name another one.
import { join } from "@std/path";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";

const isQuic = Deno.env.get("FSH_TEST_SCHEME") === "fshq";
/** Options by which a test says itself how its server is to be reached. */
const OWN = ["--tls", "--cert", "--quic", "--mutual", "--insecure"];

let files: Promise<{ readonly cert: string; readonly key: string }> | null = null;

/** What `fsh serve` is started with besides. */
export async function schemeOptions(args: readonly string[]): Promise<string[]> {
  if (!isQuic || args.some((arg) => OWN.includes(arg))) return [];
  const { cert, key } = await (files ??= makeFiles());
  return ["--quic", "--cert", cert, "--key", key];
}

/** The URL that a server is asked at, out of what it says when it is ready; undefined: it has not said it all. */
export function urlOf(said: string, quic: boolean): string | undefined {
  return (quic ? /fshq:\/\/\S+?\/(?=\n)/ : /fshs?:\/\/\S+?\//).exec(said)?.[0];
}

async function makeFiles() {
  const folder = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  // Servers of tests become other users, who read the certificate again.
  await Deno.chmod(folder, 0o755);
  const { cert, key } = await makeSelfSigned({ names: ["127.0.0.1", "::1", "localhost"] });
  await Deno.writeTextFile(join(folder, "cert.pem"), cert);
  await Deno.writeTextFile(join(folder, "key.pem"), key, { mode: 0o600 });
  // For every client that is started from here.
  Deno.env.set("SSL_CERT_FILE", join(folder, "cert.pem"));
  return { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
}
