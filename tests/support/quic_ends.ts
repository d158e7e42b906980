// What both ends of tests over QUIC have: one certificate, which every fsh that is started from here trusts.
import { join } from "@std/path";
import { QuicTransport } from "../../lib/transport/quic.ts";
import { quicEndsSent } from "../../lib/transport/quic_connection.ts";
import { QuicListener } from "../../lib/transport/quic_listener.ts";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import type { Connection, Listener } from "../../lib/transport/transport.ts";

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

export async function makeQuicEnds(): Promise<QuicEnds> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  // Servers of tests become other users, who read the certificate again.
  await Deno.chmod(folder, 0o755);
  const identity = await makeSelfSigned({ names: ["127.0.0.1", "127.0.0.9", "::1", "localhost"] });
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await Deno.writeTextFile(cert, identity.cert);
  await Deno.writeTextFile(key, identity.key, { mode: 0o600 });
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
