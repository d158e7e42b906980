/** A put that can be stopped by whoever takes it over. */
export interface RunningPut {
  /** Stops it, what was written stays; resolves once it has let go. */
  stop(): Promise<void>;
}

/** Puts that are running in all sessions, by owner and path, so that a reconnecting owner can take its own over. */
export class RunningPuts {
  readonly #here = new Map<string, RunningPut>();
  readonly #elsewhere: ((id: string) => Promise<void>) | undefined;

  /** `elsewhere` stops one that another thread of this server runs. */
  constructor(elsewhere?: (id: string) => Promise<void>) {
    this.#elsewhere = elsewhere;
  }

  /** Stops the one of that name, wherever it runs. */
  async stop(id: string): Promise<void> {
    if (this.#here.has(id)) await this.stopHere(id);
    else await this.#elsewhere?.(id);
  }

  async stopHere(id: string): Promise<void> {
    await this.#here.get(id)?.stop();
  }

  /** Makes a put known until the answer is called; of several with one name the first one is known. */
  enter(id: string, put: RunningPut): () => void {
    if (!this.#here.has(id)) this.#here.set(id, put);
    return () => {
      if (this.#here.get(id) === put) this.#here.delete(id);
    };
  }
}
