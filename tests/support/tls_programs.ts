// fsh on both ends of TLS, each with a configuration folder of its own.
import type { Identity } from "../../lib/transport/tls.ts";
import { fsh, type Outcome, type RunOptions, scratch, ServerProcess } from "./program.ts";

/** Somebody who uses fsh: a home and what is remembered in it. */
export class TestUser implements AsyncDisposable {
  readonly home: string;
  readonly #folder: AsyncDisposable;

  private constructor(folder: { path: string } & AsyncDisposable) {
    this.home = folder.path;
    this.#folder = folder;
  }

  static async make(): Promise<TestUser> {
    return new TestUser(await scratch());
  }

  get env(): Record<string, string> {
    return { XDG_CONFIG_HOME: this.home, XDG_RUNTIME_DIR: "", HOME: this.home };
  }

  get knownHosts(): string {
    return `${this.home}/fsh/known_hosts`;
  }

  fsh(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return fsh(args, { ...options, env: { ...this.env, ...options.env } });
  }

  /** Lines that are remembered. */
  known(): string[] {
    try {
      return Deno.readTextFileSync(this.knownHosts).split("\n").filter((line) => line !== "");
    } catch {
      return [];
    }
  }

  async write(name: string, text: string, mode = 0o600): Promise<string> {
    const path = `${this.home}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, text, { mode });
    return path;
  }

  /** Writes both files; answers the options that name them. */
  async identity(identity: Identity): Promise<string[]> {
    return [
      "--cert",
      await this.write("cert.pem", identity.cert),
      "--key",
      await this.write("key.pem", identity.key),
    ];
  }

  /** A server of this user's, with a file `a` in its folder. */
  async serve(args: readonly string[] = ["--tls"], command?: readonly string[]): Promise<ServerProcess> {
    const server = await ServerProcess.start({ args, env: this.env, ...(command ? { command } : {}) });
    await Deno.writeTextFile(`${server.folder}/a`, "content of a");
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** The same server by another name or port. */
export function otherUrl(server: ServerProcess, change: { hostname?: string; port?: number; scheme?: string }): string {
  const { hostname = "127.0.0.1", port = server.port, scheme = "fshs" } = change;
  return `${scheme}://${hostname}:${port}/`;
}
