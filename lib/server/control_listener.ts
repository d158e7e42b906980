import { encodeUtf8, jsonText } from "../base/bytes.ts";
import { withDeadline } from "../base/clock.ts";
import { FshError, toFshError } from "../base/errors.ts";
import { LineReader } from "../base/line_reader.ts";
import type { Log, LogFields } from "../base/log.ts";
import type { ControlSource } from "./control.ts";
import { answersTo, type ControlAnswer, type ControlRequest, parseControlRequest } from "./control_requests.ts";
import type { ControlSocket } from "./control_socket.ts";

/** Bytes of a request's line. */
const LONGEST_REQUEST = 4096;
/** Clients that are served at once. */
const MOST_CLIENTS = 16;
/** Milliseconds that a client may take for its next request, and to take in a line of an answer. */
const PATIENCE = 10_000;
/** What of a refused client's words is thrown away before it is cut off, in bytes, and for how long, in milliseconds. */
const WASTE = { bytes: 64 * 1024, time: 1000 };
/** Milliseconds that running answers are given at the end. */
const LAST_WORDS = 1000;
/** Milliseconds after an accept that failed. */
const ACCEPT_PAUSE = 500;

/** Who is at the other end; null: the system does not tell. */
export interface Caller {
  readonly peer: { readonly pid: number; readonly uid: number };
  release(): void;
}

export interface ControlListenerOptions {
  readonly source: ControlSource;
  readonly log: Log;
  /** Whose requests are carried out, where the system tells who they are. */
  readonly users: readonly number[];
  /** Who has connected last. */
  readonly caller: (bound: string) => Caller | null;
}

/** Answers the requests that come over a control socket. */
export class ControlListener implements AsyncDisposable {
  readonly #socket: ControlSocket;
  readonly #options: ControlListenerOptions;
  readonly #clients = new Set<Deno.UnixConn>();
  readonly #answering = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  #closed = false;

  /** Takes the socket over. */
  constructor(socket: ControlSocket, options: ControlListenerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#accepting = this.#acceptLoop();
  }

  /** Answers that are under way are finished, for a second at the most. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket[Symbol.dispose]();
    const answers = Promise.allSettled(this.#answering);
    await withDeadline(answers, LAST_WORDS, () => new FshError("GOING_AWAY")).catch(() => {});
    for (const client of this.#clients) close(client);
    await this.#accepting;
  }

  async #acceptLoop(): Promise<void> {
    while (!this.#closed) {
      try {
        const client = await this.#socket.listener.accept();
        void this.#take(client);
      } catch (error) {
        if (this.#closed) return;
        this.#options.log.warn("the control socket takes nobody, trying on", { error: toFshError(error).message });
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE));
      }
    }
  }

  async #take(client: Deno.UnixConn): Promise<void> {
    const { caller, users, log } = this.#options;
    const found = caller(this.#socket.bound);
    const who = { uid: found?.peer.uid, pid: found?.peer.pid };
    this.#clients.add(client);
    try {
      if (found && !users.includes(found.peer.uid)) {
        log.warn("control refused", who);
        return await refuse(client, new FshError("NOT_PERMITTED", { detail: "the server is another user's" }));
      }
      if (this.#clients.size > MOST_CLIENTS) {
        const error = new FshError("TOO_MANY_SESSIONS", { detail: `at most ${MOST_CLIENTS} on the control socket` });
        return await refuse(client, error);
      }
      await this.#talk(client, who);
    } catch (error) {
      log.debug("control connection ended", { ...who, error: toFshError(error).message });
    } finally {
      this.#clients.delete(client);
      found?.release();
      close(client);
    }
  }

  async #talk(client: Deno.UnixConn, who: LogFields): Promise<void> {
    const lines = new LineReader(client, { most: LONGEST_REQUEST, fault: "BAD_REQUEST" });
    while (!this.#closed) {
      let line: string | null;
      try {
        line = await withDeadline(lines.next(), PATIENCE, late);
      } catch (error) {
        this.#options.log.warn("control request refused", { ...who, reason: toFshError(error).message });
        return await refuse(client, error);
      }
      if (line === null) return;
      const answered = this.#answer(client, line, who).finally(() => this.#answering.delete(answered));
      this.#answering.add(answered);
      await answered;
    }
  }

  async #answer(client: Deno.UnixConn, line: string, who: LogFields): Promise<void> {
    const { source, log } = this.#options;
    let facts: LogFields = who;
    try {
      const request = parseControlRequest(line);
      facts = { ...factsOf(request), ...who };
      log.info("control", facts);
      for await (const answer of answersTo(request, source)) await say(client, answer);
    } catch (error) {
      const failure = toFshError(error);
      log.warn("control request failed", { ...facts, error: failure.error, reason: failure.message });
      await say(client, failed(failure));
    }
  }
}

function factsOf(request: ControlRequest): LogFields {
  if (request.request === "kick") return { request: "kick", kicked: request.session, reason: request.reason };
  return { request: request.request };
}

function late(): FshError {
  return new FshError("BAD_REQUEST", { detail: `no request within ${PATIENCE / 1000} s` });
}

function failed(thrown: unknown): ControlAnswer {
  const { error, code, subject, detail } = toFshError(thrown);
  return { error: { name: error, code, subject, detail } };
}

/** Says why, and reads what is still being said: closing before would take the words away. */
async function refuse(client: Deno.UnixConn, error: unknown): Promise<void> {
  await say(client, failed(error));
  await client.closeWrite();
  const waste = new Uint8Array(4096);
  const discard = async () => {
    for (let left = WASTE.bytes; left > 0;) {
      const read = await client.read(waste);
      if (read === null) return;
      left -= read;
    }
  };
  await withDeadline(discard(), WASTE.time, () => new FshError("STALLED"));
}

/** Sends one line. Rejects where it is not taken in time. */
async function say(client: Deno.UnixConn, answer: ControlAnswer): Promise<void> {
  const bytes = encodeUtf8(jsonText(answer) + "\n");
  for (let at = 0; at < bytes.length;) {
    at += await withDeadline(client.write(bytes.subarray(at)), PATIENCE, () => new FshError("STALLED"));
  }
}

function close(client: Deno.UnixConn): void {
  try {
    client.close();
  } catch {
    // It is closed already.
  }
}
