import { FshError, isError } from "../base/errors.ts";
import { Findings, type Found, mergeFound } from "./findings.ts";
import { decodeMessage, encodeMessage, type Outgoing, type Question } from "./message.ts";
import { type LinkSocket, type Network, systemNetwork } from "./network.ts";
import { SERVICE_TYPES } from "./service.ts";

/** Milliseconds before the first question, to which a random time up to as much as the second is added (RFC 6762, 5.2). */
const FIRST_DELAY = [20, 100] as const;
/** Milliseconds to the second question; then each pause is twice the one before (RFC 6762, section 5.2). */
const SECOND_DELAY = 1000;
/** Bytes of a question, padding included: no server answers with more, and every link carries it in one packet. */
export const QUESTION_BYTES = 1200;

const QUESTIONS: readonly Question[] = [SERVICE_TYPES.fsh, SERVICE_TYPES.fshq].map((name) => ({ name, type: "PTR" }));

export interface BrowseOptions {
  /** Milliseconds. */
  readonly time: number;
  /** Ends the search early; what was found by then counts. */
  readonly signal: AbortSignal;
  readonly network?: Network;
}

/**
 * Asks on all networks which servers there are, and waits for the answers.
 *
 * @throws {FshError} NO_MULTICAST: there is no network to ask on; ADDRESS_IN_USE
 */
export async function browse({ time, signal, network = systemNetwork }: BrowseOptions): Promise<Found[]> {
  const links = network.links();
  if (links.length === 0) {
    throw new FshError("NO_MULTICAST", { detail: "no interface but the loopback has an address" });
  }
  const searches: Search[] = [];
  const failures: unknown[] = [];
  for (const link of links) {
    const findings = new Findings();
    const heard = (bytes: Uint8Array) => {
      const message = decodeMessage(bytes);
      if (message !== null) findings.heard(message);
    };
    try {
      searches.push(new Search(await network.open(link, { heard, broken: () => {} }), findings));
    } catch (error) {
      failures.push(error);
    }
  }
  try {
    const inUse = failures.find((error) => isError(error, "ADDRESS_IN_USE"));
    if (inUse !== undefined || searches.length === 0) throw inUse ?? failures[0];
    await waited(time, signal);
    return mergeFound(searches.flatMap(({ findings }) => findings.servers));
  } finally {
    for (const search of searches) search.stop();
  }
}

/** One link's questions, which grow rarer. */
class Search {
  readonly findings: Findings;
  readonly #socket: LinkSocket;
  #timer: ReturnType<typeof setTimeout>;

  constructor(socket: LinkSocket, findings: Findings) {
    this.#socket = socket;
    this.findings = findings;
    const [least, more] = FIRST_DELAY;
    this.#timer = setTimeout(() => this.#ask(SECOND_DELAY), least + Math.random() * more);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#socket.close();
  }

  #ask(pause: number): void {
    void this.#socket.send(encodeMessage(nextQuestion(this.findings)));
    this.#timer = setTimeout(() => this.#ask(2 * pause), pause);
  }
}

/** Asks for all servers, tells those that are known, and asks for what is missing of others, as far as there is room. */
export function nextQuestion({ open, known }: Findings): Outgoing {
  const fitting = (message: Outgoing) => encodeMessage(message).length <= QUESTION_BYTES;
  let message: Outgoing = { kind: "query", questions: QUESTIONS };
  for (const question of open) {
    const longer = { ...message, questions: [...message.questions ?? [], question] };
    if (!fitting(longer)) break;
    message = longer;
  }
  for (const answer of known) {
    const longer = { ...message, answers: [...message.answers ?? [], answer] };
    if (!fitting(longer)) break;
    message = longer;
  }
  return { ...message, padTo: QUESTION_BYTES };
}

function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
