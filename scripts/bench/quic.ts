// One large file over QUIC, fsh against a bare stream of the runtime's own QUIC; both servers show the same certificate.
import { join } from "@std/path";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import { FSH } from "../../tests/support/program.ts";
import type { Comparison } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { helper, run } from "./processes.ts";
import { bytesPerSecond, draining } from "./workspace.ts";

const RIVALS = [{ ours: "fsh", atLeast: 0.7 }];

export async function quicToNull(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await work.makeFile();
  const { cert, key } = await makeSelfSigned({ names: ["127.0.0.1"] });
  const files = { cert: await peers.write("quic.crt", [cert]), key: await peers.write("quic.key", [key]) };
  await Deno.chmod(files.key, 0o600);
  const { port } = await peers.fsh("--durability", "none", "--quic", "--cert", files.cert, "--key", files.key);
  const raw = await peers.helper("raw_quic.ts", "serve", `${work.bytes}`, files.cert, files.key);
  const source = join(work.served, "file");
  // The certificate as one of the system's, so that nothing else is asked for.
  const command = ["env", `SSL_CERT_FILE=${files.cert}`, FSH, "get", "-q", `fshq://127.0.0.1:${port}/file`, "-"];
  const contenders = [
    draining({ name: "fsh", source, command }),
    {
      name: "bare QUIC stream",
      rivals: RIVALS,
      run: () => run(...helper("raw_quic.ts", "read", `${raw}`, `${work.bytes}`, files.cert)),
      // The reader itself fails if bytes are missing.
      check: () => Promise.resolve(),
    },
  ];
  const title = `get ${work.size} MiB to null, QUIC`;
  return { name: "quic-null", title, unit: bytesPerSecond(work.bytes), writes: 0, contenders };
}
