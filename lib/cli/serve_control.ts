import { join } from "@std/path";
import { FshError, isError, toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import { native } from "../native/load.ts";
import type {
  ControlSource,
  LoadFact,
  ReloadFact,
  ServerFact,
  SessionControl,
  SessionFact,
  SocketFact,
} from "../server/control.ts";
import { ControlListener } from "../server/control_listener.ts";
import { ControlSocket } from "../server/control_socket.ts";
import { socketFacts } from "../server/socket_facts.ts";
import type { Args, OptionRow } from "./args.ts";
import { controlFolders, livingSockets, makeControlFolder } from "./control_place.ts";

export const CONTROL_OPTION: OptionRow = {
  name: "control",
  value: "PATH",
  help:
    "Unix socket for fsh sessions, sockets, kick, reload and drain; off; by default one that they find by themselves",
};

/** Servers of one name: containers that share a folder. */
const MOST_NAMESAKES = 9;
const ROOT = 0;

/** What the operator's requests come down to, in this process. */
export interface ServerParts {
  readonly sessions: SessionControl;
  readonly url: string;
  readonly folder: string;
  /** Milliseconds that running transfers are given at the end; 0: no limit. */
  readonly drainLimit: number;
  readonly reload: () => Promise<readonly ReloadFact[]>;
  /** As SIGTERM: the server goes down. Called once. */
  readonly goDown: () => void;
  readonly log: Log;
}

/** The control socket of `fsh serve`: first it only has its path, then it answers. */
export class ServeControl implements AsyncDisposable {
  readonly path: string;
  readonly #socket: ControlSocket;
  readonly #users: number[];
  #listener: ControlListener | null = null;
  #ended = Promise.withResolvers<void>();

  private constructor(socket: ControlSocket) {
    this.#socket = socket;
    this.path = socket.path;
    this.#users = [ROOT, Deno.uid() ?? ROOT];
  }

  /**
   * Takes the path, while the process may do so; null where there is to be no socket, or where none was asked for and
   * there is no place for one, which is logged.
   *
   * @throws {FshError} as `ControlSocket.open`, for a path that was given
   */
  static async open(
    args: Args,
    { port, log }: { readonly port: number; readonly log: Log },
  ): Promise<ServeControl | null> {
    const wanted = args.has("control") ? args.value("control") : null;
    if (wanted === "off") return null;
    if (Deno.build.os === "windows") {
      if (wanted === null) return null;
      throw new FshError("USAGE", { subject: `--control ${wanted}`, detail: "not on Windows" });
    }
    if (wanted !== null) return new ServeControl(await ControlSocket.open(wanted));
    const socket = await openUsual(port, log);
    return socket && new ServeControl(socket);
  }

  /** Answers from now on. */
  serve({ log, ...parts }: ServerParts): void {
    this.#listener = new ControlListener(this.#socket, {
      source: new ServerSource(parts, this.#ended.promise),
      log,
      users: [...this.#users, Deno.uid() ?? ROOT],
      caller: (bound) => native().localPeers?.newest(bound) ?? null,
    });
    log.info("control socket", { path: this.path });
  }

  /** No session is left. */
  ended(): void {
    this.#ended.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#listener) await this.#listener[Symbol.asyncDispose]();
    else this.#socket[Symbol.dispose]();
  }
}

/** In the first folder where it can be. Its name tells port and process. */
async function openUsual(port: number, log: Log): Promise<ControlSocket | null> {
  const flaws: string[] = [];
  await livingSockets();
  for (const folder of controlFolders()) {
    const flaw = await makeControlFolder(folder);
    if (flaw === null) {
      try {
        return await openAmongNamesakes(join(folder, `${port}-${Deno.pid}`));
      } catch (error) {
        flaws.push(toFshError(error).message);
      }
    } else flaws.push(flaw);
  }
  const reason = flaws.join("; ") || "neither XDG_RUNTIME_DIR nor HOME is set";
  log.warn("no control socket; --control PATH names a place, --control off does without", { reason });
  return null;
}

async function openAmongNamesakes(stem: string): Promise<ControlSocket> {
  for (let number = 1;; number++) {
    try {
      return await ControlSocket.open(`${stem}${number === 1 ? "" : `-${number}`}.sock`);
    } catch (error) {
      if (number >= MOST_NAMESAKES || !isError(error, "ADDRESS_IN_USE")) throw error;
    }
  }
}

/** One event loop's sessions, and the process around it. */
class ServerSource implements ControlSource {
  readonly about: ServerFact;
  readonly #parts: Omit<ServerParts, "log">;
  readonly #ended: Promise<void>;
  #draining = false;

  constructor(parts: Omit<ServerParts, "log">, ended: Promise<void>) {
    const { url, folder } = parts;
    this.#parts = parts;
    this.#ended = ended;
    this.about = { pid: Deno.pid, version: VERSION, url, folder, since: Date.now() };
  }

  sessions(): Promise<readonly SessionFact[]> {
    return this.#parts.sessions.sessions();
  }

  kick(id: string, reason: string): Promise<SessionFact> {
    return this.#parts.sessions.kick(id, reason);
  }

  load(): Promise<LoadFact> {
    return this.#parts.sessions.load();
  }

  reload(): Promise<readonly ReloadFact[]> {
    return this.#parts.reload();
  }

  async sockets(): Promise<readonly SocketFact[]> {
    const sessions = await this.sessions();
    return socketFacts(await native().socketTable?.list() ?? null, sessions);
  }

  drain(): { readonly limit: number; readonly ended: Promise<void> } {
    if (!this.#draining) this.#parts.goDown();
    this.#draining = true;
    return { limit: this.#parts.drainLimit, ended: this.#ended };
  }
}
