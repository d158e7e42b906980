import type { Log } from "../base/log.ts";
import type { Soon } from "../base/soon.ts";
import { DecisionCache } from "./decision_cache.ts";
import type { EventFacts } from "./event.ts";
import {
  type Admitted,
  anyRefusal,
  EACH_MAPS,
  FIRST_ADMISSION,
  firstOpinion,
  type Mapping,
  type Ruling,
} from "./folds.ts";
import type { DecideHook, HookName, ObserveHook } from "./hooks.ts";
import { makeEvent, type PluginHost } from "./host.ts";
import { type Fold, Inquirer, type Questions } from "./inquirer.ts";
import { Observers } from "./observers.ts";

type RulingHook = "connect" | "authorize" | "content";

/**
 * The plugins of one generation, in their order. A request keeps the set that it began with; `acquire` and the disposal of
 * its answer count who uses it, so that a set that was replaced goes when the last request has ended.
 */
export class HookSet {
  readonly hosts: readonly PluginHost[];
  readonly #asking;
  readonly #observers: Observers;
  readonly #hooks = new Set<HookName>();
  #users = 0;
  #retired = false;
  readonly #unused = Promise.withResolvers<void>();

  constructor(hosts: readonly PluginHost[], log: Log) {
    this.hosts = hosts;
    this.#observers = new Observers(hosts, log);
    for (const host of hosts) for (const hook of host.manifest.hooks) this.#hooks.add(hook);
    const cache = new DecisionCache();
    const asking = <N extends DecideHook, T>(hook: N, fold: Fold<N, T>) =>
      new Inquirer({
        hook,
        fold,
        hosts: hosts.filter(({ manifest }) => manifest.hooks.includes(hook)),
        log,
        cache,
        hold: () => this.acquire(),
      });
    this.#asking = {
      connect: asking("connect", firstOpinion()),
      authenticate: asking("authenticate", FIRST_ADMISSION),
      filterPath: asking("filterPath", EACH_MAPS),
      authorize: asking("authorize", firstOpinion()),
      content: asking("content", anyRefusal()),
    };
  }

  /** Whether any plugin has one of these hooks; where none has, nothing need be asked. */
  has(...hooks: HookName[]): boolean {
    for (const hook of hooks) if (this.#hooks.has(hook)) return true;
    return false;
  }

  /** Ways to come in, of all plugins together. */
  get methods(): readonly string[] {
    return [...new Set(this.hosts.flatMap(({ manifest }) => manifest.methods))];
  }

  /** Keeps the set alive until disposed of. */
  acquire(): Disposable {
    this.#users++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#users--;
        this.#settle();
      },
    };
  }

  /** Resolves once nobody uses the set any more and all that was to be told is told. */
  async retire(): Promise<void> {
    this.#retired = true;
    this.#settle();
    await this.#unused.promise;
    await this.#observers.drain();
  }

  #settle(): void {
    if (this.#retired && this.#users === 0) this.#unused.resolve();
  }

  /** Asks those that may be asked ahead of `rule`, which gets what this answers. Null: there is nobody to ask. */
  foresee<N extends RulingHook>(hook: N, facts: EventFacts<N>): Questions<N> | null {
    const asking: { readonly [H in RulingHook]: Inquirer<H, Ruling> } = this.#asking;
    return asking[hook].foresee(facts);
  }

  /**
   * Whether each of these may be: for `content` any refusal counts, otherwise the first opinion. No promise where
   * all answers are in the cache. `foreseen`: what `foresee` answered for the same facts.
   */
  rule<N extends RulingHook>(
    hook: N,
    all: readonly EventFacts<N>[],
    foreseen?: readonly (Questions<N> | null)[],
  ): Soon<Ruling[]> {
    const asking: { readonly [H in RulingHook]: Inquirer<H, Ruling> } = this.#asking;
    return asking[hook].ask(all, foreseen);
  }

  /** Who the credentials belong to; null: no plugin has an opinion. */
  async admit(facts: EventFacts<"authenticate">): Promise<Admitted | null> {
    const [admitted = null] = await this.#asking.authenticate.ask([facts]);
    return admitted;
  }

  /** What each of these paths becomes: every plugin gets what the one before it made of it. As `rule`, maybe at once. */
  map(all: readonly EventFacts<"filterPath">[]): Soon<Mapping[]> {
    return this.#asking.filterPath.ask(all);
  }

  /** Tells of something that has happened; waits for nobody. */
  observe<N extends ObserveHook>(hook: N, facts: EventFacts<N>): void {
    if (this.#hooks.has(hook)) this.#observers.tell(makeEvent(hook, facts));
  }
}
