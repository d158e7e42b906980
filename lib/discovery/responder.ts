import type { Clock } from "../base/clock.ts";
import { compareClaims, type DnsRecord, type Message, type Outgoing, type Question } from "./message.ts";
import { instanceOf, type Part, recordsOf, sameName, type Service, SERVICE_TYPES, TYPE_LIST } from "./service.ts";

// Times of RFC 6762, in milliseconds.
/** Section 8.1: before the first probe, so that machines that start together do not speak together; between two of three. */
const PROBE_INTERVAL = 250;
const PROBES = 3;
/** Section 8.2: how long the loser of two that probe at once waits. */
const DEFERRED = 1000;
/** Section 8.3. */
const ANNOUNCEMENTS = 2;
const ANNOUNCE_INTERVAL = 1000;
/** Section 6: between two answers, and between two that defend the name against one who probes. */
const ANSWER_INTERVAL = 1000;
const DEFENCE_INTERVAL = 250;
/** Section 6: answers that several may give wait so long, and a random time up to as much as the second more. */
const SHARED_DELAY = [20, 100] as const;

export interface ResponderOptions {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly send: (message: Outgoing) => void;
  /** As it is now on this link. */
  readonly service: () => Service;
  /** The name is announced. Called again after each conflict that it survived. */
  readonly onAnnounced: () => void;
  /** The name is somebody else's. Nothing more is said until `start`. */
  readonly onTaken: () => void;
  /** Somebody else claims the announced name: whoever it is has to be asked, by `start`. */
  readonly onDisputed: () => void;
}

/**
 * Makes a service known on one link: makes sure that its name is nobody else's, announces it, answers questions, defends
 * the name. Every message goes to all on the link, never to an address that a question names.
 */
export class Responder {
  readonly #options: ResponderOptions;
  #state: "silent" | "probing" | "announced" = "silent";
  #cancelStep: () => void = () => {};
  #cancelAnswer: (() => void) | null = null;
  readonly #wanted = new Set<Part>();
  #lastAnswer = -Infinity;
  #lastDefence = -Infinity;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** Begins, or begins again, after `wait` milliseconds. */
  start(wait = 0): void {
    this.stop();
    this.#step(wait + this.#options.random() * PROBE_INTERVAL, () => this.#probe(PROBES));
  }

  /** Says nothing more. */
  stop(): void {
    this.#cancelStep();
    this.#cancelAnswer?.();
    this.#cancelAnswer = null;
    this.#wanted.clear();
    this.#state = "silent";
  }

  /** Tells all that the service has gone: a record that lives for no time takes itself back (section 10.1). */
  farewell(): void {
    const announced = this.#state === "announced";
    this.stop();
    if (!announced) return;
    const gone = this.#records("pointer", "target", "text", "addresses").map((record) => ({ ...record, ttl: 0 }));
    this.#options.send({ kind: "response", answers: gone });
  }

  /** What the service says of itself has changed, its name aside. */
  changed(): void {
    if (this.#state === "announced") this.#announce(1);
  }

  heard(message: Message): void {
    if (this.#state === "silent") return;
    if (message.kind === "response") this.#hearResponse(message);
    else if (this.#state === "probing") this.#hearRival(message);
    else this.#hearQuestion(message);
  }

  #step(ms: number, then: () => void): void {
    this.#cancelStep();
    this.#cancelStep = this.#options.clock.after(ms, then);
  }

  #probe(left: number): void {
    if (left === 0) {
      this.#state = "announced";
      this.#announce(ANNOUNCEMENTS);
      this.#options.onAnnounced();
      return;
    }
    this.#state = "probing";
    this.#options.send({
      kind: "query",
      questions: [{ name: this.#instance, type: "ANY" }],
      authorities: this.#records("text", "target").map((record) => ({ ...record, flush: false })),
    });
    this.#step(PROBE_INTERVAL, () => this.#probe(left - 1));
  }

  #announce(left: number): void {
    this.#lastAnswer = this.#options.clock.now();
    this.#options.send({ kind: "response", answers: this.#records("pointer", "target", "text", "addresses") });
    if (left > 1) this.#step(ANNOUNCE_INTERVAL, () => this.#announce(left - 1));
  }

  #hearResponse({ answers, additionals }: Message): void {
    const conflict = [...answers, ...additionals].some((record) =>
      record.type === "SRV" && record.ttl > 0 && sameName(record.name, this.#instance) && !this.#isOwn(record)
    );
    if (!conflict) return;
    const probing = this.#state === "probing";
    this.stop();
    if (probing) this.#options.onTaken();
    else this.#options.onDisputed();
  }

  /** Two that want the same name at once: whose records come later has it, and the other one asks again (section 8.2). */
  #hearRival({ authorities }: Message): void {
    const claim = authorities.filter(({ name }) => sameName(name, this.#instance));
    if (claim.length === 0 || claim.some((record) => this.#isOwn(record))) return;
    if (compareClaims(this.#records("text", "target"), claim) < 0) this.#step(DEFERRED, () => this.#probe(PROBES));
  }

  #isOwn(record: DnsRecord): boolean {
    const { host, port } = this.#options.service();
    return record.type === "SRV" && sameName(record.target, host) && record.port === port;
  }

  #hearQuestion({ questions, answers, authorities }: Message): void {
    if (authorities.some(({ name }) => sameName(name, this.#instance))) return this.#defend();
    const known = (part: Part) =>
      this.#records(part).every((own) => answers.some((one) => sameRecord(one, own) && one.ttl >= own.ttl / 2));
    const asked = new Set(questions.flatMap((question) => this.#partsFor(question)));
    const wanted = [...asked].filter((part) => !known(part));
    if (wanted.length === 0) return;
    for (const part of wanted) this.#wanted.add(part);
    const shared = wanted.includes("pointer") || wanted.includes("types");
    const delay = shared ? SHARED_DELAY[0] + this.#options.random() * SHARED_DELAY[1] : 0;
    const now = this.#options.clock.now();
    const wait = Math.max(delay, this.#lastAnswer + ANSWER_INTERVAL - now);
    this.#cancelAnswer ??= this.#options.clock.after(wait, () => this.#answer());
  }

  /** One who probes for the name waits for an answer no longer than a probe's interval. */
  #defend(): void {
    const now = this.#options.clock.now();
    if (now - this.#lastDefence < DEFENCE_INTERVAL) return;
    this.#lastDefence = now;
    this.#options.send({ kind: "response", answers: this.#records("target", "text") });
  }

  #partsFor({ name, type }: Question): Part[] {
    const asks = (...types: string[]) => type === "ANY" || types.includes(type);
    const service = this.#options.service();
    if (sameName(name, TYPE_LIST)) return asks("PTR") ? ["types"] : [];
    if (sameName(name, SERVICE_TYPES[service.scheme])) return asks("PTR") ? ["pointer"] : [];
    if (sameName(name, service.host)) return asks("A", "AAAA") ? ["addresses"] : [];
    if (!sameName(name, this.#instance)) return [];
    return [...asks("SRV") ? ["target"] as const : [], ...asks("TXT") ? ["text"] as const : []];
  }

  /** What is asked for, and with it what would be asked for next (RFC 6763, section 12). */
  #answer(): void {
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    this.#cancelAnswer = null;
    this.#lastAnswer = this.#options.clock.now();
    const further: readonly Part[] = wanted.includes("pointer")
      ? ["target", "text", "addresses"]
      : wanted.includes("target")
      ? ["addresses"]
      : [];
    this.#options.send({
      kind: "response",
      answers: this.#records(...wanted),
      additionals: this.#records(...further.filter((part) => !wanted.includes(part))),
    });
  }

  get #instance(): string {
    return instanceOf(this.#options.service());
  }

  #records(...parts: readonly Part[]): DnsRecord[] {
    const service = this.#options.service();
    return parts.flatMap((part) => recordsOf(service, part));
  }
}

/** Whether both say the same of the same name. */
function sameRecord(a: DnsRecord, b: DnsRecord): boolean {
  if (a.type !== b.type || !sameName(a.name, b.name)) return false;
  const said = ({ ttl: _ttl, flush: _flush, name: _name, ...rest }: DnsRecord) =>
    JSON.stringify(Object.entries(rest).sort());
  return said(a) === said(b);
}
