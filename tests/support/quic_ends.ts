// What both ends of tests over QUIC have: one certificate, which every fsh that is started from here trusts.
import { join } from "@std/path";
import { QuicTransport } from "../../lib/transport/quic.ts";
import { quicEndsSent } from "../../lib/transport/quic_connection.ts";
import { QuicListener } from "../../lib/transport/quic_listener.ts";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import type { Connection, Listener } from "../../lib/transport/transport.ts";

const CERT = "cert.pem";
const KEY = "key.pem";

export interface QuicEnds {
  /** What `fsh serve` is started with besides. */
  readonly options: readonly string[];
  /** What that names. */
  readonly files: readonly string[];
  readonly transport: QuicTransport;
  /** A listener on a free port. */
  listen(): Listener;
  dial(port: number): Promise<Connection>;
  /** Resolves when nothing goes on behind closed connections any more. */
  readonly settled: () => Promise<void>;
}

/** Names a folder of `makeIdentityFolder` that several files of tests share, which then may run at once. */
export const SHARED = "FSH_TEST_IDENTITY";

/** A folder with a certificate and its key; whoever makes it removes it. */
export async function makeIdentityFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  // Servers of tests become other users, who read the certificate again.
  await Deno.chmod(folder, 0o755);
  const { cert, key } = await makeSelfSigned({ names: ["127.0.0.1", "127.0.0.9", "::1", "localhost"] });
  await Deno.writeTextFile(join(folder, CERT), cert);
  await Deno.writeTextFile(join(folder, KEY), key, { mode: 0o600 });
  return folder;
}

async function ownFolder(): Promise<string> {
  const folder = await makeIdentityFolder();
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  return folder;
}

export async function makeQuicEnds(): Promise<QuicEnds> {
  const folder = Deno.env.get(SHARED) ?? await ownFolder();
  const [cert, key] = [join(folder, CERT), join(folder, KEY)];
  const identity = { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
  Deno.env.set("SSL_CERT_FILE", cert);
  const transport = new QuicTransport({ identity, anchor: { certificates: [identity.cert] } });
  return {
    options: ["--quic", "--cert", cert, "--key", key],
    files: [cert, key],
    transport,
    listen: () => new QuicListener({ hostname: "127.0.0.1", port: 0 }, { identity, most: 1000, closed: () => {} }),
    dial: (port) => transport.connect({ hostname: "127.0.0.1", port, timeout: 5000 }),
    settled: quicEndsSent,
  };
}
