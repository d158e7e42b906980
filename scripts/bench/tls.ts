// One large file over TLS 1.3, fsh against nginx and curl; both servers show the same certificate.
import { join } from "@std/path";
import { Certificate } from "../../lib/base/certificate.ts";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import { FSH } from "../../tests/support/program.ts";
import type { Comparison } from "./measure.ts";
import type { IdentityFiles, Peers } from "./peers.ts";
import { bytesPerSecond, copying, draining } from "./workspace.ts";

const RIVALS = [{ ours: "fsh", atLeast: 1 }];
const CURL = ["curl", "-sSf", "--tlsv1.3", "--cacert"];

export async function tlsGet(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  const { source, identity, fsh } = await prepare(peers);
  const { copy: makes } = work;
  const contenders = [copying({ name: "fsh", source, makes, command: [...fsh, makes] })];
  const nginx = await peers.nginx(identity);
  if (nginx) {
    const command = [...CURL, identity.cert, "-o", makes, `${nginx}file`];
    contenders.push(copying({ name: "curl from nginx", rivals: RIVALS, source, makes, command }));
  }
  const title = `get ${work.size} MiB into a file, TLS 1.3`;
  return { name: "tls", title, unit: bytesPerSecond(work.bytes), writes: work.bytes, contenders };
}

export async function tlsToNull(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  const { source, identity, fsh } = await prepare(peers);
  const contenders = [draining({ name: "fsh", source, command: [...fsh, "-"] })];
  const nginx = await peers.nginx(identity);
  if (nginx) {
    const command = [...CURL, identity.cert, `${nginx}file`];
    contenders.push(draining({ name: "curl from nginx", rivals: RIVALS, source, command }));
  }
  const title = `get ${work.size} MiB to null, TLS 1.3`;
  return { name: "tls-null", title, unit: bytesPerSecond(work.bytes), writes: 0, contenders };
}

/** The file, a certificate for both servers, and the beginning of the client's command. */
async function prepare(peers: Peers): Promise<{ source: string; identity: IdentityFiles; fsh: string[] }> {
  const { work } = peers;
  await work.makeFile();
  const { cert, key } = await makeSelfSigned({ names: ["127.0.0.1"] });
  const identity = { cert: await peers.write("tls.crt", [cert]), key: await peers.write("tls.key", [key]) };
  await Deno.chmod(identity.key, 0o600);
  const { url } = await peers.fsh("--durability", "none", "--cert", identity.cert, "--key", identity.key);
  const { fingerprint } = Certificate.fromPem(cert);
  const fsh = [FSH, "get", "-q", "--fingerprint", fingerprint, `${url}file`];
  return { source: join(work.served, "file"), identity, fsh };
}
