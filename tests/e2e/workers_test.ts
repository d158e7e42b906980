// `fsh serve --workers N`: several event loops on one port, which are one server to everybody outside.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Certificate } from "../../lib/base/certificate.ts";
import { isError } from "../../lib/base/errors.ts";
import { Client } from "../../lib/client/client.ts";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import { eventually, fsh, names, scratch, ServerProcess } from "../support/program.ts";
import { testOfTcp } from "../support/scheme.ts";
import { TestUser } from "../support/tls_programs.ts";

const linux = { ignore: Deno.build.os !== "linux" };
const TWO = ["--workers", "2", "--metrics", "0"];
/** With so many sessions the system leaves one of two workers without any once in 4,096 times. */
const CROWD = 13;

function test(name: string, run: () => Promise<void>): void {
  testOfTcp("workers", { name, ...linux, fn: run });
}

/** Sessions of this process. */
class Crowd implements AsyncDisposable {
  readonly clients: Client[] = [];
  readonly #port: number;

  constructor({ port }: ServerProcess) {
    this.#port = port;
  }

  async enter(count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.clients.push(await Client.connect({ hostname: "127.0.0.1", port: this.#port }));
    }
  }

  /** The error that one more is refused with; null: it came in. */
  async refusal(): Promise<string | null> {
    try {
      await this.enter();
      return null;
    } catch (error) {
      return isError(error, "GOING_AWAY") || !(error instanceof Error) ? "GOING_AWAY" : error.message;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close()));
  }
}

/** The value of one line of /metrics; 0 where it is not there. */
async function metric(server: ServerProcess, line: string): Promise<number> {
  const url = (await server.logged(/http:\/\/\S+\/metrics/)).trim();
  const found = (await (await fetch(url)).text()).split("\n").find((one) => one.startsWith(`${line} `));
  return Number(found?.slice(line.length) ?? 0);
}

/** Which worker has which session, as the log has it. */
async function workersOf(server: ServerProcess, sessions: number): Promise<Map<string, number>> {
  const found = () =>
    new Map([...server.log.matchAll(/session opened .*? session=(\d+) .* worker=(\d)/g)].map(
      ([, session = "", worker]) => [session, Number(worker)],
    ));
  return await eventually("the sessions' lines", 10_000, () => found().size === sessions ? found() : undefined);
}

test("two workers: each has sessions, and numbers, names, content and metrics are those of one server", async () => {
  await using server = await ServerProcess.start({ args: TWO });
  {
    await using crowd = new Crowd(server);
    await crowd.enter(CROWD);
    const workers = await workersOf(server, CROWD);
    assertEquals(new Set(workers.values()), new Set([1, 2]));
    assertEquals([...workers.keys()].map(Number).sort((a, b) => a - b), Array.from({ length: CROWD }, (_, i) => i + 1));
    await Promise.all(crowd.clients.map((client, i) => client.mkdir(`/${i}`)));
    await Promise.all(crowd.clients.map(async (client) => {
      const listed: string[] = [];
      for await (const page of client.list("/")) listed.push(...page.map(({ name }) => name));
      assertEquals(listed.length, CROWD);
    }));
    assertEquals(await metric(server, "fsh_sessions"), CROWD);
    assertEquals(await metric(server, 'fsh_requests_total{command="MKDIR",outcome="ok"}'), CROWD);
    assertEquals(await metric(server, 'fsh_requests_total{command="LIST",outcome="ok"}'), CROWD);
  }
  await eventually("all to have gone", 10_000, async () => await metric(server, "fsh_sessions") === 0);
  assertEquals(await metric(server, "fsh_sessions_opened_total"), CROWD);
  assert(await metric(server, 'fsh_bytes_total{direction="in"}') > 100 * CROWD);
  assertEquals(await server.stop(), 0);
  assertMatch(server.log, new RegExp(`info stats sessions=${CROWD} requests=${2 * CROWD} received=\\d+ sent=\\d+\n`));
});

for (
  const [option, value, error] of [
    ["max-sessions", "7", "too many sessions"],
    ["max-per-address", "7", "too many sessions from this address"],
  ] as const
) {
  test(`--${option} is the number of all workers together, and who leaves makes room in either`, async () => {
    await using server = await ServerProcess.start({ args: [...TWO, `--${option}`, value] });
    await using crowd = new Crowd(server);
    for (let i = 0; i < 7; i++) assertEquals(await crowd.refusal(), null);
    for (let i = 0; i < 6; i++) assertStringIncludes(await crowd.refusal() ?? "", error);
    assertEquals(await metric(server, `fsh_limit_hits_total{limit="${option}"}`), 6);
    assertEquals(await metric(server, "fsh_sessions"), 7);
    for (let i = 0; i < 4; i++) {
      await crowd.clients.shift()?.close();
      await eventually("room", 5000, async () => await crowd.refusal() === null);
      assertStringIncludes(await crowd.refusal() ?? "", error);
    }
  });
}

test("--max-startups counts those who say nothing in all workers", async () => {
  const args = [...TWO, "--max-startups", "5:100:5", "--handshake-timeout", "20s"];
  await using server = await ServerProcess.start({ args });
  const silent = await Promise.all(Array.from({ length: 5 }, () => Deno.connect({ port: server.port })));
  await eventually("them to be taken", 5000, async () => await metric(server, "fsh_sessions_unauthenticated") === 5);
  await using crowd = new Crowd(server);
  for (let i = 0; i < 4; i++) assertStringIncludes(await crowd.refusal() ?? "", "too many clients are coming in");
  for (const connection of silent) connection.close();
  await eventually("them to have gone", 5000, async () => await metric(server, "fsh_sessions_unauthenticated") === 0);
  assertEquals(await crowd.refusal(), null);
});

/** Lets in who is called something, counts requests in its memory, and says so. */
const COUNTER = (most: number) =>
  `let count = 0;
export default { name: "counter", hooks: {
  connect: () => undefined,
  authorize: ({ command }) => command === "stat" && ++count > ${most} ? { allow: false, reason: "no " + count } : undefined,
} };`;

test("one set of sandboxes decides for all workers, and is replaced for all of them", async () => {
  await using local = await scratch();
  const plugin = `${local.path}/counter.js`;
  await Deno.writeTextFile(plugin, COUNTER(8));
  await using server = await ServerProcess.start({ args: [...TWO, "--plugin", plugin] });
  await using crowd = new Crowd(server);
  await crowd.enter(CROWD);
  assertEquals(new Set((await workersOf(server, CROWD)).values()).size, 2);
  const asked = async () => {
    const answers = await Promise.allSettled(crowd.clients.map((client) => client.stat("/")));
    return answers.map((answer) => answer.status === "fulfilled" ? "" : String(answer.reason.message)).sort();
  };
  const refused = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => `/: permission denied (no ${from + i})`);
  const sorted = (answers: readonly string[]) => answers.filter((one) => one !== "").length;
  const first = await asked();
  assertEquals(first.filter((one) => one !== ""), refused(9, CROWD - 8).sort());
  assertEquals(children(server.pid).length, 1);

  await Deno.writeTextFile(plugin, COUNTER(3));
  server.child.kill("SIGHUP");
  await server.logged(/plugin loaded anew/);
  assertEquals(sorted(await asked()), CROWD - 3);
  await eventually("the old sandbox to be gone", 10_000, () => children(server.pid).length === 1);
  assertEquals(await server.stop(), 0);
});

/** Processes that a process has started (proc(5), children). */
function children(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/task`)].flatMap(({ name }) => {
    const text = Deno.readTextFileSync(`/proc/${pid}/task/${name}/children`).trim();
    return text === "" ? [] : text.split(" ");
  });
}

test("who has proved a name has as many sessions in all workers together as --max-per-user says", async () => {
  await using local = await scratch();
  const file = `${local.path}/tokens.json`;
  const token = (await fsh(["token", "add", file, "an"])).out.trim();
  const plugin = ["--plugin", "auth-token", "--plugin-option", `auth-token.file=${file}`];
  await using server = await ServerProcess.start({ args: [...TWO, "--max-per-user", "3", ...plugin] });
  const come = () =>
    Client.connect({ hostname: "127.0.0.1", port: server.port }, { credentials: { user: "an", token } });
  const clients = [await come(), await come(), await come()];
  for (let i = 0; i < 5; i++) {
    const refusal = await come().then(() => null, (error) => error);
    assert(isError(refusal, "TOO_MANY_OF_USER"), String(refusal));
  }
  assertEquals(await metric(server, 'fsh_limit_hits_total{limit="max-per-user"}'), 5);
  await clients.pop()?.close();
  clients.push(await eventually("room", 5000, () => come().catch(() => null)));
  await Promise.all(clients.map((client) => client.close()));
});

test("sessions, kick and drain reach every worker by one control socket", async () => {
  await using local = await scratch();
  const control = `${local.path}/control`;
  await using server = await ServerProcess.start({ args: [...TWO, "--control", control] });
  const run = (...args: string[]) => fsh([...args, "--control", control]);
  await using crowd = new Crowd(server);
  await crowd.enter(CROWD);
  const workers = await workersOf(server, CROWD);
  const listed = async () =>
    (await run("sessions", "--json")).out.trim().split("\n").filter((line) => line !== "")
      .map((line): { id: string } => JSON.parse(line)).map(({ id }) => id);
  assertEquals(await listed(), Array.from({ length: CROWD }, (_, i) => String(i + 1)));
  const kicked = [1, 2].map((worker) => [...workers].find(([, of]) => of === worker)?.[0] ?? "");
  for (const id of kicked) {
    const { code, err } = await run("kick", id);
    assertEquals(code, 0, err);
    const client = crowd.clients.find(({ session }) => session.identity.session === id);
    assertEquals((await client?.ended)?.error?.error, "KICKED");
  }
  assertEquals(await listed(), [...workers.keys()].filter((id) => !kicked.includes(id)));
  const gone = await run("kick", kicked[0] ?? "");
  assertEquals(gone.code, 5, gone.err);
  const sockets = (await run("sockets")).out;
  assertEquals(sockets.match(/LISTEN/gi)?.length, 2 + 1, sockets);
  assertEquals((await run("drain")).code, 0);
  assertEquals((await server.child.status).code, 0);
});

test("SIGTERM takes no new session in any worker, and lets running transfers finish", async () => {
  await using server = await ServerProcess.start({ args: [...TWO, "--limit-rate", "2M"] });
  await Deno.writeFile(`${server.folder}/a`, new Uint8Array(1_000_000).fill(7));
  await using crowd = new Crowd(server);
  await crowd.enter(4);
  let begun = 0;
  const gets = Promise.all(crowd.clients.map(async (client) => {
    let bytes = 0;
    await client.get("/a", { open: () => (begun++, (chunk) => void (bytes += chunk.length)) });
    return bytes;
  }));
  await eventually("the transfers", 10_000, () => begun === 4);
  const start = performance.now();
  server.child.kill("SIGTERM");
  await server.logged(/going down sessions=4/);
  await eventually("the port to be closed", 5000, async () => {
    const late = await Deno.connect({ port: server.port }).catch(() => null);
    late?.close();
    return late === null;
  });
  assertEquals(await gets, [1_000_000, 1_000_000, 1_000_000, 1_000_000]);
  assertEquals((await server.child.status).code, 0);
  // 4 MB at 2 MB/s for all workers together; with a rate for each it would be half of that. What went before counts.
  assert(performance.now() - start > 1300, `${performance.now() - start}`);
});

test("an owner takes over its own half-open put, whichever worker has it", async () => {
  await using server = await ServerProcess.start({ args: TWO });
  await using crowd = new Crowd(server);
  await crowd.enter(CROWD);
  const workers = await workersOf(server, CROWD);
  const of = (worker: number) => {
    const found = crowd.clients.find(({ session }) => workers.get(session.identity.session) === worker);
    assert(found);
    return found;
  };
  const content = new Uint8Array(3_000_000).map((_, i) => i % 251);
  const options = { size: content.length, key: "k", modified: 1 };
  // Says a part of it, and then nothing any more.
  const silent = Promise.withResolvers<null>();
  let said = 0;
  const half = of(1).put("/a", {
    read: (buffer) => {
      if (said >= 1_000_000) return silent.promise;
      const piece = content.subarray(said, Math.min(1_000_000, said + buffer.length));
      buffer.set(piece);
      said += piece.length;
      return Promise.resolve(piece.length);
    },
  }, options).then(() => null, (error) => error);
  await eventually("a part", 10_000, () => names(server.folder).length > 0 && said >= 1_000_000);
  let at = 0;
  await of(2).put("/a", {
    read: (buffer) => {
      const piece = content.subarray(at, at + buffer.length);
      buffer.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length || null);
    },
    seek: (offset) => Promise.resolve(void (at = offset)),
  }, { ...options, continue: true });
  silent.resolve(null);
  assert(isError(await half, "TAKEN_OVER"));
  assertEquals(await Deno.readFile(`${server.folder}/a`), content);
  assertEquals(names(server.folder), ["a"]);
});

test("a changed certificate counts in every worker, and the sessions that are there stay", async () => {
  await using owner = await TestUser.make();
  const first = await makeSelfSigned({ names: ["127.0.0.1"] });
  const args = [...await owner.identity(first), "--workers", "2"];
  await using server = await ServerProcess.start({ args, env: owner.env });
  const old = await server.fingerprint;
  const ls = (fingerprint: string) => owner.fsh(["ls", "--fingerprint", fingerprint, server.url]);
  assertEquals((await ls(old)).code, 0);
  const second = await makeSelfSigned({ names: ["127.0.0.1"] });
  const now = Certificate.fromPem(second.cert).fingerprint;
  await owner.identity(second);
  server.child.kill("SIGHUP");
  await server.logged(/certificate exchanged/);
  const seen = await Promise.all(Array.from({ length: 6 }, () => ls(now)));
  for (const { code, err } of seen) assertEquals(code, 0, err);
  assertEquals((await ls(old)).code, 4);
});

testOfTcp("workers", {
  name: "--user changes the thread of every worker",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  fn: changesEveryThread,
});

async function changesEveryThread(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  await Deno.chmod(folder, 0o755);
  await using server = await ServerProcess.start({ folder, args: [...TWO, "--user", "65534:65534", "--read-only"] });
  const tasks = [...Deno.readDirSync(`/proc/${server.pid}/task`)];
  const users = tasks.map(({ name }) =>
    /^Uid:\s+(.*)$/m.exec(Deno.readTextFileSync(`/proc/${server.pid}/task/${name}/status`))?.[1]
  );
  assert(tasks.length >= 3, `${tasks.length} threads`);
  assertEquals(new Set(users), new Set(["65534\t65534\t65534\t65534"]));
  await using crowd = new Crowd(server);
  await crowd.enter(CROWD);
  assertEquals(new Set((await workersOf(server, CROWD)).values()), new Set([1, 2]));
}

test("a port that another server has is not shared with it", async () => {
  await using first = await ServerProcess.start({ args: ["--workers", "2"] });
  for (const workers of ["1", "2"]) {
    const { code, err } = await fsh(["serve", first.folder, "--port", String(first.port), "--workers", workers]);
    assertEquals(code, 1, err);
    assertStringIncludes(err, `127.0.0.1:${first.port}: address already in use`);
  }
});

Deno.test("what can't be divided among so many workers is refused, with what to do", linux, async () => {
  for (
    const [args, words] of [
      [["--workers", "0"], /--workers 0.*1/],
      [["--workers", "65"], /--workers 65.*64/],
      [["--workers", "2", "--classic", "0"], /--workers 2: .*not together with --classic/],
      [["--workers", "2", "--quic"], /--workers 2: .*not together with --quic/],
      [["--workers", "3", "--max-open-files", "2"], /--workers 3: .*less than one open file for each/],
      [["--workers", "4", "--max-memory", "200M"], /--max-memory 200M.*at least/],
    ] as const
  ) {
    const { code, err } = await fsh(["serve", "--port", "0", ...args]);
    assertEquals(code, 2, err);
    assertMatch(err, words);
  }
});
