import { FshError, toFshError } from "../../base/errors.ts";
import type { MessageLink } from "../../base/message_link.ts";
import type { Admissions, Visitor } from "../entrance.ts";
import type { MainCalls, WorkerCalls } from "./calls.ts";

/** Has the main thread count clients; what it knows itself is how many of them are here. */
export class RemoteEntrance implements Admissions {
  readonly #main: MessageLink<MainCalls, WorkerCalls>;
  #here = 0;
  #unknown = 0;

  constructor(main: MessageLink<MainCalls, WorkerCalls>) {
    this.#main = main;
  }

  get here(): number {
    return this.#here;
  }

  get unknown(): number {
    return this.#unknown;
  }

  async enter(remote: string): Promise<Visitor | FshError> {
    try {
      const client = await this.#main.ask("enter", remote);
      this.#here++;
      this.#unknown++;
      return this.#visitor(client);
    } catch (error) {
      return toFshError(error);
    }
  }

  #visitor(client: number): Visitor {
    let [gone, known] = [false, false];
    return {
      admit: async (user) => {
        const name = await this.#main.ask("admit", { client, user });
        if (gone) throw new FshError("CONNECTION_LOST");
        known = true;
        this.#unknown--;
        return name;
      },
      leave: () => {
        if (gone) return;
        gone = true;
        this.#here--;
        if (!known) this.#unknown--;
        this.#main.tell("leave", client);
      },
    };
  }
}
