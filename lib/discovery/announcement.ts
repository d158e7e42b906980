import { type Clock, systemClock, withDeadline } from "../base/clock.ts";
import { randomHex } from "../base/bytes.ts";
import { FshError, toFshError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { decodeMessage, encodeMessage, type Outgoing } from "./message.ts";
import { type Link, type LinkSocket, type Network, systemNetwork } from "./network.ts";
import { Responder } from "./responder.ts";
import { type AnnouncedScheme, numberedName, type Service } from "./service.ts";

/** Milliseconds between two looks at the machine's networks, and at what the server says of itself. */
const LOOK_INTERVAL = 2000;
/** So many conflicts within so many milliseconds, and each further try waits so long (RFC 6762, section 8.1). */
const MOST_CONFLICTS = 15;
const CONFLICT_SPAN = 10_000;
const CONFLICT_WAIT = 5000;
/** Milliseconds that the last messages may take. */
const FAREWELL_LIMIT = 500;

export interface AnnouncementOptions {
  /** As `checkServiceName` gave it. */
  readonly name: string;
  readonly scheme: AnnouncedScheme;
  readonly port: number;
  /** The numeric address that the server listens on. */
  readonly bound: string;
  /** Of the certificate that is in force now. */
  readonly fingerprint: () => string | undefined;
  readonly log: Log;
  readonly network?: Network;
  readonly clock?: Clock;
  readonly random?: () => number;
}

interface Presence {
  readonly responder: Responder;
  readonly socket: LinkSocket;
  /** Messages that the system has not taken yet. */
  readonly sending: Set<Promise<void>>;
}

/** A server's presence on all the networks that it serves, under one name, until it is withdrawn. */
export class Announcement implements AsyncDisposable {
  readonly #options: AnnouncementOptions;
  readonly #clock: Clock;
  readonly #network: Network;
  readonly #log: Log;
  readonly #host = `fsh-${randomHex(8)}.local`;
  readonly #presences = new Map<string, Presence>();
  /** When the name was taken or disputed, lately. */
  #conflicts: number[] = [];
  /** There were too many conflicts since the name was last announced. */
  #contested = false;
  /** The name that the log has last, by interface. */
  readonly #told = new Map<string, string>();
  #name: string;
  #number = 1;
  #fingerprint: string | undefined;
  #cancelLook: () => void = () => {};
  #looking: Promise<void> = Promise.resolve();
  #withdrawn = false;
  #nowhere = false;

  private constructor(options: AnnouncementOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#network = options.network ?? systemNetwork;
    this.#log = options.log;
    this.#name = options.name;
  }

  /** @throws {FshError} ADDRESS_IN_USE where another program keeps the port of multicast DNS to itself */
  static async start(options: AnnouncementOptions): Promise<Announcement> {
    const announcement = new Announcement(options);
    try {
      await announcement.#look({ strict: true });
    } catch (error) {
      await announcement.withdraw();
      throw error;
    }
    announcement.#lookAgain();
    return announcement;
  }

  /** What the server is called now: the name that was asked for, or a numbered one. */
  get name(): string {
    return this.#name;
  }

  /** Tells all networks that the server has gone, and leaves them. May be called again. */
  async withdraw(): Promise<void> {
    this.#withdrawn = true;
    this.#cancelLook();
    await this.#looking;
    for (const { responder } of this.#presences.values()) responder.farewell();
    const sending = [...this.#presences.values()].flatMap(({ sending }) => [...sending]);
    await withDeadline(Promise.all(sending), FAREWELL_LIMIT, () => new FshError("GOING_AWAY")).catch(() => {});
    for (const [key] of this.#presences) this.#leave(key);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.withdraw();
  }

  #lookAgain(): void {
    this.#cancelLook = this.#clock.after(LOOK_INTERVAL, () => {
      this.#looking = this.#look({ strict: false }).catch((error) => {
        // Asking for the networks takes a descriptor, and there may be none.
        this.#log.debug("networks not looked at", { error: toFshError(error).message });
      }).finally(() => {
        if (!this.#withdrawn) this.#lookAgain();
      });
    });
  }

  /** Networks come and go. `strict`: what keeps us from one is thrown, not logged. */
  async #look({ strict }: { readonly strict: boolean }): Promise<void> {
    const links = new Map(this.#network.links().map((link) => [link.state, link]));
    for (const [key, { socket }] of this.#presences) {
      if (links.has(key)) socket.rejoin();
      else this.#leave(key);
    }
    for (const [key, link] of links) {
      if (this.#presences.has(key) || this.#addressesOn(link).length === 0) continue;
      try {
        await this.#enter(key, link);
      } catch (error) {
        const { message } = toFshError(error);
        if (strict && toFshError(error).error === "ADDRESS_IN_USE") throw error;
        this.#log.debug("not announced", { interface: link.name, error: message });
      }
    }
    this.#tellChange();
    this.#tellNowhere();
  }

  async #enter(key: string, link: Link): Promise<void> {
    const sending = new Set<Promise<void>>();
    const socket = await this.#network.open(link, {
      heard: (bytes) => {
        const message = decodeMessage(bytes);
        if (message !== null) responder.heard(message);
      },
      broken: () => this.#leave(key),
    });
    const send = (message: Outgoing) => {
      const sent: Promise<void> = socket.send(encodeMessage(message)).finally(() => sending.delete(sent));
      sending.add(sent);
    };
    const responder = new Responder({
      clock: this.#clock,
      random: this.#options.random ?? Math.random,
      send,
      service: () => this.#serviceOn(link),
      onAnnounced: () => {
        this.#contested = false;
        if (this.#told.get(link.name) === this.#name) return;
        this.#told.set(link.name, this.#name);
        this.#log.info("announced", { name: this.#name, interface: link.name });
      },
      onTaken: () => this.#rename(),
      onDisputed: () => responder.start(this.#conflict()),
    });
    this.#presences.set(key, { responder, socket, sending });
    responder.start();
  }

  #leave(key: string): void {
    const presence = this.#presences.get(key);
    if (presence === undefined) return;
    this.#presences.delete(key);
    presence.responder.stop();
    presence.socket.close();
    this.#told.clear();
  }

  #serviceOn(link: Link): Service {
    const { scheme, port, fingerprint } = this.#options;
    const addresses = this.#addressesOn(link);
    return { name: this.#name, scheme, port, fingerprint: fingerprint(), host: this.#host, addresses };
  }

  /** Of a link's addresses those that the server listens on. */
  #addressesOn({ addresses }: Link): readonly string[] {
    const { bound } = this.#options;
    if (bound === "::") return addresses;
    if (bound === "0.0.0.0") return addresses.filter((address) => !address.includes(":"));
    return addresses.filter((address) => address === bound);
  }

  /** Another server has the name: takes the next one, everywhere. */
  #rename(): void {
    const wait = this.#conflict();
    const taken = this.#name;
    for (const { responder } of this.#presences.values()) responder.farewell();
    this.#name = numberedName(this.#options.name, ++this.#number);
    this.#log.warn("name taken by another server", { taken, name: this.#name });
    for (const { responder } of this.#presences.values()) responder.start(wait);
  }

  /** Milliseconds to wait before the next try. */
  #conflict(): number {
    const now = this.#clock.now();
    this.#conflicts = [...this.#conflicts, now].filter((at) => at > now - CONFLICT_SPAN).slice(-MOST_CONFLICTS);
    this.#contested ||= this.#conflicts.length === MOST_CONFLICTS;
    return this.#contested ? CONFLICT_WAIT : 0;
  }

  #tellChange(): void {
    const fingerprint = this.#options.fingerprint();
    if (fingerprint === this.#fingerprint) return;
    this.#fingerprint = fingerprint;
    for (const { responder } of this.#presences.values()) responder.changed();
  }

  #tellNowhere(): void {
    const nowhere = this.#presences.size === 0;
    if (nowhere && !this.#nowhere) this.#log.warn("announced nowhere: no network that carries multicast, so far");
    this.#nowhere = nowhere;
  }
}
