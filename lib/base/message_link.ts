import { type ErrorName, FshError, toFshError } from "./errors.ts";

/** One end of a line between two threads: a Worker, or the scope that it runs in. */
export interface MessageEnd {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

/** What one side answers to: each call takes one value that can be cloned (HTML, structured clone), and gives one. */
export type Answerers<T> = { readonly [N in keyof T]: (argument: never) => unknown };

type Argument<F> = F extends (argument: infer A) => unknown ? A : never;
type Answer<F> = F extends (argument: never) => infer A ? Awaited<A> : never;

interface Failure {
  readonly error: ErrorName;
  readonly subject: string | undefined;
  readonly detail: string | undefined;
  readonly remote: boolean;
}

type Message =
  /** A call; 0: nobody waits for the answer. */
  | { readonly id: number; readonly name: string; readonly argument: unknown }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: Failure };

/**
 * Calls between two threads, both ways. What is said in one turn goes together, in order; an object that occurs in several
 * of those calls arrives as one object.
 */
export class MessageLink<Theirs extends Answerers<Theirs>, Own extends Answerers<Own>> {
  readonly #end: MessageEnd;
  readonly #own: Own;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #queue: Message[] = [];
  #next = 1;
  #over: FshError | null = null;

  constructor(end: MessageEnd, own: Own) {
    this.#end = end;
    this.#own = own;
    end.addEventListener("message", ({ data }) => {
      for (const message of data as readonly Message[]) this.#take(message);
    });
  }

  /** @throws {FshError} what the other side fails with, or why there is no other side any more */
  ask<N extends keyof Theirs & string>(name: N, argument: Argument<Theirs[N]>): Promise<Answer<Theirs[N]>> {
    if (this.#over) return Promise.reject(this.#over);
    const id = this.#next++;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#send({ id, name, argument });
    return answer.promise as Promise<Answer<Theirs[N]>>;
  }

  /** As `ask`, without waiting for anything; what it fails with is lost. */
  tell<N extends keyof Theirs & string>(name: N, argument: Argument<Theirs[N]>): void {
    this.#send({ id: 0, name, argument });
  }

  /** The other side has gone: whoever waits for it, or asks from now on, hears why. */
  close(why: FshError): void {
    this.#over ??= why;
    for (const { reject } of this.#waiting.values()) reject(why);
    this.#waiting.clear();
  }

  #send(message: Message): void {
    if (this.#over) return;
    if (this.#queue.push(message) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const messages = this.#queue;
    this.#queue = [];
    if (this.#over) return;
    try {
      this.#end.postMessage(messages);
    } catch {
      for (const message of messages) this.#postAlone(message);
    }
  }

  /** Of what goes together something can't be cloned: that becomes a failure, and the rest goes by itself. */
  #postAlone(message: Message): void {
    try {
      this.#end.postMessage([message]);
    } catch (cause) {
      const error = toFshError(cause);
      if ("name" in message) this.#settle(message.id)?.reject(error);
      else this.#end.postMessage([{ id: message.id, failure: failureOf(error) }]);
    }
  }

  #take(message: Message): void {
    if ("name" in message) return void this.#answer(message);
    const waiting = this.#settle(message.id);
    if ("value" in message) waiting?.resolve(message.value);
    else waiting?.reject(new FshError(message.failure.error, message.failure));
  }

  #settle(id: number): PromiseWithResolvers<unknown> | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  async #answer({ id, name, argument }: { id: number; name: string; argument: unknown }): Promise<void> {
    try {
      // Both sides are of one program: the types of `ask` hold on this one.
      const value = await this.#own[name as keyof Own](argument as never);
      if (id > 0) this.#send({ id, value });
    } catch (error) {
      if (id > 0) this.#send({ id, failure: failureOf(toFshError(error)) });
    }
  }
}

function failureOf({ error, subject, detail, remote }: FshError): Failure {
  return { error, subject, detail, remote };
}
