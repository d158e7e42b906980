// The servers that fsh is compared with: each on a free port, with settings of its own in the run's folder, ended by its
// own process id. A peer that is not installed is left out, with a line.
import { join } from "@std/path";
import { ServerProcess } from "../../tests/support/program.ts";
import { complaints, find, freePort, helper, listening, output, start, stop, throwIfInterrupted } from "./processes.ts";
import type { Workspace } from "./workspace.ts";

const root = Deno.uid() === 0;

/** Files in PEM. */
export interface IdentityFiles {
  readonly cert: string;
  readonly key: string;
}

/** The peers of one comparison; they end with it. */
export class Peers implements AsyncDisposable {
  readonly #ends: (() => Promise<unknown>)[] = [];
  readonly work: Workspace;

  constructor(work: Workspace) {
    this.work = work;
  }

  /** `rsync://host:port/files/`, or null. */
  async rsync(): Promise<string | null> {
    if (!await this.installed("rsync")) return null;
    const port = freePort();
    const config = await this.write("rsyncd.conf", [
      `port = ${port}`,
      "address = 127.0.0.1",
      "use chroot = no",
      `log file = ${join(this.work.settings, "rsyncd.log")}`,
      ...(root ? ["uid = root", "gid = root"] : []),
      "[files]",
      `path = ${this.work.served}`,
      "read only = no",
    ]);
    await this.serve(port, "rsync", "--daemon", "--no-detach", `--config=${config}`);
    return `rsync://127.0.0.1:${port}/files/`;
  }

  /** `http://host:port/`, or `https://…` over TLS 1.3 with a certificate of its own; null where it is not installed. */
  async nginx(identity?: IdentityFiles): Promise<string | null> {
    const program = await this.installed("nginx", "curl");
    if (!program) return null;
    const port = freePort();
    const { served, settings } = this.work;
    const tls = identity
      ? `ssl_protocols TLSv1.3; ssl_certificate "${identity.cert}"; ssl_certificate_key "${identity.key}";`
      : "";
    const config = await this.write("nginx.conf", [
      "daemon off;",
      ...(root ? ["user root;"] : []),
      "worker_processes auto;",
      `pid "${settings}/nginx.pid";`,
      "error_log stderr;",
      "events {}",
      "http {",
      "access_log off;",
      "sendfile on;",
      "tcp_nopush on;",
      ...(await temporaryFolders(program)).map((name) => `${name} "${settings}/nginx-${name}";`),
      `server { listen 127.0.0.1:${port}${identity ? " ssl" : ""}; root "${served}"; ${tls} }`,
      "}",
    ]);
    await this.serve(port, program, "-p", settings, "-e", "stderr", "-c", config);
    return `${identity ? "https" : "http"}://127.0.0.1:${port}/`;
  }

  /** `ftp://host:port/`, open for everybody; or null. */
  async vsftpd(): Promise<string | null> {
    const program = await this.installed("vsftpd", "curl");
    if (!program) return null;
    const port = freePort();
    const empty = join(this.work.settings, "empty");
    await Deno.mkdir(empty, { recursive: true });
    const config = await this.write("vsftpd.conf", [
      "listen=YES",
      "listen_address=127.0.0.1",
      `listen_port=${port}`,
      "background=NO",
      "run_as_launching_user=YES",
      "local_enable=NO",
      "anonymous_enable=YES",
      "no_anon_password=YES",
      `ftp_username=${await user()}`,
      `anon_root=${this.work.served}`,
      "write_enable=YES",
      "anon_upload_enable=YES",
      `secure_chroot_dir=${empty}`,
      "seccomp_sandbox=NO",
      "xferlog_enable=NO",
    ]);
    await this.serve(port, program, config);
    return `ftp://127.0.0.1:${port}/`;
  }

  /** The port of an iperf3 server, or null. */
  async iperf3(): Promise<number | null> {
    if (!await this.installed("iperf3")) return null;
    const port = freePort();
    await this.serve(port, "iperf3", "--server", "--bind", "127.0.0.1", "--port", `${port}`);
    return port;
  }

  /** fsh itself. */
  async fsh(...options: string[]): Promise<ServerProcess> {
    try {
      const server = await ServerProcess.start({ folder: this.work.served, args: options });
      this.#ends.push(() => server.stop());
      return server;
    } catch (error) {
      throwIfInterrupted();
      throw error;
    }
  }

  /** The first of these programs, if all are installed. */
  async installed(first: string, ...others: string[]): Promise<string | null> {
    for (const program of [first, ...others]) {
      if (await find(program)) continue;
      this.work.skip(`${program} is not installed` + (program === first ? "" : `, so no ${first} either`));
      return null;
    }
    return await find(first);
  }

  /** Writes a file of settings; answers its path. */
  async write(name: string, lines: readonly string[]): Promise<string> {
    const path = join(this.work.settings, name);
    await Deno.writeTextFile(path, lines.join("\n") + "\n");
    return path;
  }

  /** Starts a server and waits until it listens. */
  async serve(port: number, ...command: string[]): Promise<void> {
    const started = start(command);
    this.#ends.push(() => stop(started));
    await listening(port, started);
  }

  /** Starts a helper of the benchmark, which prints its port. */
  async helper(file: string, ...args: string[]): Promise<number> {
    const started = start(helper(file, ...args), "piped");
    this.#ends.push(() => stop(started));
    const reader = started.child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    throwIfInterrupted();
    if (!value) throw new Error(`${file} did not start: ${await started.complaints}`);
    return Number(new TextDecoder().decode(value));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}

/** Names of the settings for the folders that this nginx was built to make; unset, it would make them in the system. */
async function temporaryFolders(nginx: string): Promise<string[]> {
  const built = await complaints(nginx, "-V");
  return [...built.matchAll(/--http-([a-z-]+)-temp-path=/g)].map(([, name = ""]) =>
    `${name.replaceAll("-", "_")}_temp_path`
  );
}

/** Who runs this. */
export async function user(): Promise<string> {
  return (await output("id", "-un")).trim();
}
