// OpenSSH's sftp, with an sshd of its own: keys and settings in the run's folder, nothing of the system is touched.
import { dirname, join } from "@std/path";
import { complaints, freePort, run } from "./processes.ts";
import { type Peers, user } from "./peers.ts";

/** Makes the command that does one line of sftp. */
export type Sftp = (line: string) => Promise<string[]>;

/** Starts sshd; null if it can't be had here. */
export async function startSftp(peers: Peers): Promise<Sftp | null> {
  const program = await peers.installed("sshd", "sftp", "ssh-keygen");
  if (!program) return null;
  const { settings } = peers.work;
  const [hostKey, userKey] = [join(settings, "host_key"), join(settings, "user_key")] as const;
  for (const key of [hostKey, userKey]) {
    await Deno.remove(key).catch(() => {});
    await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key);
  }
  const port = freePort();
  const config = await peers.write("sshd_config", [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey "${hostKey}"`,
    `AuthorizedKeysFile "${userKey}.pub"`,
    "PidFile none",
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin prohibit-password",
    "Subsystem sftp internal-sftp",
    "LogLevel ERROR",
  ]);
  await peers.serve(port, ...await inNamespace(program, config), program, "-D", "-e", "-f", config);

  const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR"]
    .flatMap((option) => ["-o", option]);
  const how = ["-q", "-F", "/dev/null", ...options, "-i", userKey, "-P", `${port}`];
  const who = `${await user()}@127.0.0.1`;
  let batches = 0;
  return async (line) => ["sftp", ...how, "-b", await peers.write(`sftp-${batches++}`, [line]), who];
}

/**
 * As root, sshd wants an empty folder, as a rule /run/sshd, which exists only where the system's own sshd has been started.
 * Where it does not, sshd gets it in a mount namespace of its own.
 */
async function inNamespace(program: string, config: string): Promise<string[]> {
  const missing = /Missing privilege separation directory: (\S+)/.exec(await complaints(program, "-t", "-f", config))
    ?.[1];
  if (missing === undefined) return [];
  const script = 'mount -t tmpfs tmpfs "$1" && mkdir -m 755 "$2" && shift 2 && exec "$@"';
  return ["unshare", "--mount", "sh", "-c", script, "sh", dirname(missing), missing];
}
