import { assert, assertEquals, assertMatch } from "@std/assert";
import { isError } from "../../lib/base/errors.ts";
import { formatText, Log } from "../../lib/base/log.ts";
import { Client } from "../../lib/client/client.ts";
import { HookRunner } from "../../lib/hooks/runner.ts";
import { InProcessHost } from "../../lib/hooks/in_process.ts";
import type { Plugin } from "../../lib/hooks/plugin.ts";
import { WorkerPool } from "../../lib/server/workers/worker_pool.ts";
import { DEFAULT_TUNING } from "../../lib/transport/tuning.ts";
import { eventually } from "../support/program.ts";

/** Two workers that can be made to fail. */
class Scene implements AsyncDisposable {
  readonly workers: Worker[] = [];
  readonly lines: string[] = [];
  readonly folder: string;
  readonly pool: WorkerPool;

  private constructor(folder: string, pool: WorkerPool, own: { workers: Worker[]; lines: string[] }) {
    this.folder = folder;
    this.pool = pool;
    this.workers = own.workers;
    this.lines = own.lines;
  }

  static async start(options: { maxSessions?: number; plugin?: Plugin } = {}): Promise<Scene> {
    const [workers, lines]: [Worker[], string[]] = [[], []];
    const log = new Log("info", (record) => void lines.push(formatText(record)));
    const spawn = () => {
      const worker = new Worker(new URL("../support/failing_worker.ts", import.meta.url), { type: "module" });
      workers.push(worker);
      return worker;
    };
    const folder = await Deno.makeTempDir();
    const pool = await WorkerPool.listen({ count: 2, spawn, log }, {
      hostname: "127.0.0.1",
      port: 0,
      identity: undefined,
      tuning: DEFAULT_TUNING,
    });
    const hosts = options.plugin ? [await InProcessHost.start(options.plugin, { log })] : [];
    await pool.serve({
      settings: {
        limits: { window: 1 << 20, maxStreams: 8, heartbeat: 0, misses: 3 },
        bounds: {},
        readOnly: false,
        maxSessions: options.maxSessions ?? 100,
        handshakeTimeout: 20_000,
        idleTimeout: 0,
        stallTimeout: 0,
      },
      folder,
      storage: { durability: "none" },
      memory: Infinity,
      rate: undefined,
      hooks: new HookRunner(hosts, log),
      pluginLog: log,
      pluginFailures: () => 0,
      clientTrust: null,
    });
    return new Scene(folder, pool, { workers, lines });
  }

  client(): Promise<Client> {
    return Client.connect({ hostname: "127.0.0.1", port: this.pool.port });
  }

  /** Which worker, 1 or 2, has a session. */
  async workerOf(client: Client): Promise<number> {
    const pattern = new RegExp(`session opened .* session=${client.session.identity.session} .* worker=(\\d)`);
    return await eventually("the session's line", 10_000, () => Number(pattern.exec(this.lines.join("\n"))?.[1]));
  }

  async metric(name: string): Promise<number> {
    const found = (await this.pool.metrics.all()).find((metric) => metric.name === name);
    return found?.values.reduce((sum, { value }) => sum + value, 0) ?? NaN;
  }

  logged(pattern: RegExp): Promise<string> {
    return eventually(`${pattern}`, 20_000, () => this.lines.find((line) => pattern.test(line)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.close({ limit: 1 });
    await Deno.remove(this.folder, { recursive: true });
  }
}

const linux = { ignore: Deno.build.os !== "linux" };

Deno.test({
  name: "a worker that fails takes only its own sessions along, counts no more, and is started again",
  ...linux,
}, async () => {
  await using scene = await Scene.start({ maxSessions: 8 });
  const clients = await Promise.all(Array.from({ length: 8 }, () => scene.client()));
  const workers = await Promise.all(clients.map((client) => scene.workerOf(client)));
  assertEquals(await scene.metric("fsh_sessions"), 8);
  const full = await scene.client().then(() => null, (error) => error);
  assert(isError(full, "TOO_MANY_SESSIONS"), String(full));

  scene.workers[0]?.postMessage("fail");
  await scene.logged(/error a worker has ended, .* worker=1 reason=".*told so" pause=0\.1/);
  const lost = clients.filter((_, at) => workers[at] === 1);
  const kept = clients.filter((_, at) => workers[at] === 2);
  for (const client of lost) assertMatch((await client.ended).error?.error ?? "", /CONNECTION_(LOST|RESET)/);
  for (const client of kept) assertEquals((await client.stat("/")).type, "directory");
  // Of the sessions that it had nothing is left that would keep others out.
  assertEquals(scene.pool.sessionCount, kept.length);

  await scene.logged(/info the worker runs again worker=1/);
  assertEquals(await scene.metric("fsh_sessions_opened_total"), 8, "counters never go down");
  const later = await Promise.all(lost.map(() => scene.client()));
  const of = await Promise.all(later.map((client) => scene.workerOf(client)));
  assertEquals(of.length, lost.length);
  assertEquals(await scene.metric("fsh_sessions"), 8);
  await Promise.all([...kept, ...later].map((client) => client.close()));
});

Deno.test({
  name: "without any worker nobody is served until one is back; a folder that is gone is said again and again",
  ...linux,
}, async () => {
  await using scene = await Scene.start();
  await Deno.rename(scene.folder, `${scene.folder}.moved`);
  for (const worker of scene.workers) worker.postMessage("fail");
  await scene.logged(/error a worker can't be started again worker=1 .*not found/);
  await Deno.rename(`${scene.folder}.moved`, scene.folder);
  await scene.logged(/info the worker runs again worker=1/);
  await scene.logged(/info the worker runs again worker=2/);
  await using client = await scene.client();
  assertEquals((await client.stat("/")).type, "directory");
});

Deno.test(
  { name: "a plugin's answers that can't be told to another thread are failures of the plugin", ...linux },
  async () => {
    const plugin: Plugin = {
      name: "odd",
      hooks: {
        authorize: ({ path }) => {
          if (path === "/thrown") throw new Error("on purpose");
          return path === "/odd" ? { allow: true, reason: (() => {}) as unknown as string } : { allow: true };
        },
      },
    };
    await using scene = await Scene.start({ plugin });
    await using client = await scene.client();
    const ask = (path: string) => client.mkdir(path).then(() => "", (error) => String(error.message));
    const answers = await Promise.all([ask("/fine"), ask("/odd"), ask("/thrown"), ask("/also-fine")]);
    const refused = (path: string) => `${path}: permission denied (a rule of this server could not be asked)`;
    assertEquals(answers, ["", refused("/odd"), refused("/thrown"), ""]);
    await scene.logged(/error a plugin failed .*plugin=odd .*on purpose.* worker=\d/);
  },
);
