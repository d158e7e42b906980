import { FshError } from "../base/errors.ts";
import type { Bounds, Startups } from "./limits.ts";
import { peerAddress } from "./peer_address.ts";

export interface EntranceOptions extends Pick<Bounds, "perAddress" | "perUser" | "startups"> {
  readonly sessions: number;
  /** From 0 to 1, for early refusals. */
  readonly random?: () => number;
}

/** Takes in clients, in this thread or by way of another. */
export interface Admissions {
  /** Clients that are here. */
  readonly here: number;
  /** Those of them that nobody was let in for yet. */
  readonly unknown: number;
  /**
   * Takes in a client, who counts until it leaves, or answers why not: TOO_MANY_SESSIONS, TOO_MANY_FROM_ADDRESS,
   * TOO_MANY_HANDSHAKES.
   */
  enter(remote: string): Visitor | FshError | Promise<Visitor | FshError>;
}

/** One client that is here. */
export interface Visitor {
  /** Somebody was let in, and gets the name of its session; null: nobody who has proved a name. @throws {FshError} TOO_MANY_OF_USER */
  admit(user: string | null): string | Promise<string>;
  /** May be called again. */
  leave(): void;
}

/** Counts who is here, and says who is one too many. A client counts from its connection to its end, whatever that is. */
export class Entrance implements Admissions {
  readonly #options: EntranceOptions;
  readonly #addresses = new Map<string, number>();
  readonly #users = new Map<string, number>();
  #here = 0;
  #unknown = 0;
  #sessions = 0;

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  get here(): number {
    return this.#here;
  }

  get unknown(): number {
    return this.#unknown;
  }

  enter(remote: string): Guest | FshError {
    const { sessions, perAddress, startups } = this.#options;
    const { key, local } = peerAddress(remote);
    const counted = perAddress.local || !local;
    if (this.#here >= sessions) return tooMany("TOO_MANY_SESSIONS", sessions);
    if (counted && (this.#addresses.get(key) ?? 0) >= perAddress.most) {
      return tooMany("TOO_MANY_FROM_ADDRESS", perAddress.most);
    }
    if (startups && this.#isRefusedEarly(startups)) {
      return new FshError("TOO_MANY_HANDSHAKES", { detail: "try again in a moment" });
    }
    this.#here++;
    this.#unknown++;
    if (counted) add(this.#addresses, key, 1);
    return new Guest({
      admit: (user) => this.#admit(user),
      leave: (user, unknown) => {
        this.#here--;
        if (unknown) this.#unknown--;
        if (counted) add(this.#addresses, key, -1);
        if (user !== null) add(this.#users, user, -1);
      },
    });
  }

  /** As sshd does it (sshd_config(5), MaxStartups): the more wait, the likelier. */
  #isRefusedEarly({ start, rate, full }: Startups): boolean {
    if (this.#unknown < start) return false;
    if (this.#unknown >= full) return true;
    const percent = rate + (100 - rate) * (this.#unknown - start) / (full - start);
    return (this.#options.random ?? Math.random)() * 100 < percent;
  }

  #admit(user: string | null): string {
    const { perUser } = this.#options;
    if (user !== null && (this.#users.get(user) ?? 0) >= perUser) throw tooMany("TOO_MANY_OF_USER", perUser);
    if (user !== null) add(this.#users, user, 1);
    this.#unknown--;
    return String(++this.#sessions);
  }
}

interface Ends {
  readonly admit: (user: string | null) => string;
  readonly leave: (user: string | null, unknown: boolean) => void;
}

export class Guest implements Visitor {
  readonly #ends: Ends;
  #user: string | null = null;
  #unknown = true;
  #gone = false;

  constructor(ends: Ends) {
    this.#ends = ends;
  }

  admit(user: string | null): string {
    if (this.#gone) throw new FshError("CONNECTION_LOST");
    const name = this.#ends.admit(user);
    this.#user = user;
    this.#unknown = false;
    return name;
  }

  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#ends.leave(this.#user, this.#unknown);
  }
}

function tooMany(error: "TOO_MANY_SESSIONS" | "TOO_MANY_FROM_ADDRESS" | "TOO_MANY_OF_USER", most: number): FshError {
  return new FshError(error, { detail: `at most ${most}; try again later` });
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
