import { dirname, fromFileUrl, join } from "@std/path";
import { toText } from "@std/streams";
import type { PatternName } from "./attack/patterns.ts";

const here = dirname(fromFileUrl(import.meta.url));

/** What the attackers did, all together. */
export interface Damage {
  readonly connections: number;
  /** Connections that the server ended. */
  readonly lost: number;
  readonly sent: number;
  readonly received: number;
  /** Sessions that were let in. */
  readonly greeted: number;
}

export interface AttackOptions {
  readonly pattern: PatternName;
  readonly port: number;
  readonly attackers: number;
  readonly seconds: number;
}

/** Attackers from many addresses of the loopback, in processes of their own that leave the processor to others. */
export class Attack implements AsyncDisposable {
  readonly #children: Deno.ChildProcess[];
  readonly #reports: Promise<string[]>;

  constructor({ pattern, port, attackers, seconds }: AttackOptions) {
    const each = Math.ceil(attackers / 2);
    this.#children = [0, each].map((first) => {
      const program = [Deno.execPath(), "run", "--quiet", "--allow-all", "--config", join(here, "../../deno.json")];
      const numbers = [port, Math.min(each, attackers - first), first, seconds].map(String);
      return new Deno.Command("nice", {
        // They would have machines of their own.
        args: ["-n", "19", ...program, join(here, "attack", "attacker.ts"), pattern, ...numbers],
        stdin: "null",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
    });
    this.#reports = Promise.all(this.#children.map((child) => toText(child.stdout)));
  }

  /** Resolves when they have left. */
  async over(): Promise<Damage> {
    const reports: Damage[] = (await this.#reports).map((text) => JSON.parse(text));
    await Promise.all(this.#children.map((child) => child.status));
    const sum = (of: (one: Damage) => number) => reports.reduce((total, one) => total + of(one), 0);
    return {
      connections: sum((one) => one.connections),
      lost: sum((one) => one.lost),
      sent: sum((one) => one.sent),
      received: sum((one) => one.received),
      greeted: sum((one) => one.greeted),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
    await Promise.all(this.#children.map((child) => child.status));
    await this.#reports;
  }
}
