import { clipUtf8 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import type { User } from "../hooks/event.ts";
import type { Session } from "../session/session.ts";
import type { Stream } from "../session/stream.ts";
import type { Message } from "../wire/codec.ts";
import type { LoadFact, SessionControl, SessionFact, StreamFact } from "./control.ts";

/** Milliseconds over which rates are measured. */
const RATE_WINDOW = 500;
/** Requests of a session that are told one by one, and bytes of each text that a client chose. */
const MOST = { requests: 16, text: 256 };

type Listed = Pick<Session, "protocol" | "local" | "remote" | "received" | "sent" | "terms" | "dismiss">;
type Moving = Pick<Stream, "id" | "moved">;

export interface Arrival {
  readonly session: Listed;
  readonly user: User;
  readonly method: string;
  readonly secure: boolean;
}

interface Doing {
  readonly request: Message;
  readonly begun: number;
}

/** A client that was let in. What it is busy with has a place only once it was. */
interface Entry extends Arrival {
  readonly since: number;
  lastBusy: number;
  doing: Map<Moving, Doing> | null;
}

/** Who is in, and what each is busy with. It is asked now and then; what it keeps is as little as that takes. */
export class Roster implements SessionControl {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  enter(id: string, arrival: Arrival): void {
    this.#entries.set(id, { ...arrival, since: Date.now(), lastBusy: this.#clock.now(), doing: null });
  }

  leave(id: string): void {
    this.#entries.delete(id);
  }

  /** A request begins; the answer says that it is over. */
  began(id: string, stream: Moving, request: Message): () => void {
    const entry = this.#entries.get(id);
    if (!entry) return () => {};
    entry.doing ??= new Map();
    entry.doing.set(stream, { request, begun: this.#clock.now() });
    return () => {
      entry.doing?.delete(stream);
      entry.lastBusy = this.#clock.now();
    };
  }

  async sessions(): Promise<readonly SessionFact[]> {
    const busy = [...this.#entries.values()].filter(({ doing }) => doing !== null && doing.size > 0);
    const before = new Map(busy.map((entry) => [entry, bytesOf(entry)]));
    const begun = this.#clock.now();
    if (busy.length > 0) await new Promise<void>((resolve) => this.#clock.after(RATE_WINDOW, resolve));
    const seconds = (this.#clock.now() - begun) / 1000;
    return [...this.#entries].map(([id, entry]) => {
      const was = before.get(entry);
      return this.#fact(id, entry, was === undefined ? 0 : Math.round((bytesOf(entry) - was) / seconds));
    });
  }

  async kick(id: string, reason: string): Promise<SessionFact> {
    const entry = this.#entries.get(id);
    if (!entry) throw new FshError("NOT_FOUND", { subject: `session ${id}`, detail: "fsh sessions lists those here" });
    const fact = this.#fact(id, entry, 0);
    await entry.session.dismiss(new FshError("KICKED", { detail: reason || undefined }));
    return fact;
  }

  load(): Promise<LoadFact> {
    let requests = 0;
    for (const { doing } of this.#entries.values()) requests += doing?.size ?? 0;
    return Promise.resolve({ sessions: this.#entries.size, requests });
  }

  #fact(id: string, { session, user, method, secure, since, lastBusy, doing }: Entry, rate: number): SessionFact {
    const now = this.#clock.now();
    const requests = doing?.size ?? 0;
    const streams: StreamFact[] = [];
    for (const [stream, { request, begun }] of doing ?? []) {
      if (streams.length >= MOST.requests) break;
      const [path = "", ...others] = pathsOf(request);
      streams.push({
        id: stream.id,
        command: request.name,
        path: clipUtf8(path, MOST.text),
        more: others.length,
        bytes: stream.moved,
        age: Math.round(now - begun),
      });
    }
    return {
      id,
      user: clipUtf8(user.name, MOST.text),
      method,
      protocol: session.protocol,
      local: session.local,
      remote: session.remote,
      secure,
      agent: clipUtf8(session.terms?.agent ?? "", MOST.text),
      since,
      idle: requests > 0 ? 0 : Math.round(now - lastBusy),
      received: session.received,
      sent: session.sent,
      rate,
      requests,
      streams,
    };
  }
}

function bytesOf({ session }: Entry): number {
  return session.received + session.sent;
}

/** What a request names, in its order. */
function pathsOf({ fields }: Message): readonly string[] {
  if ("path" in fields) return [fields.path];
  if ("from" in fields) return [fields.from];
  if ("paths" in fields) return fields.paths;
  return [];
}
