// A running server's control socket, in the compiled executable: who is on, what each does, and how that is ended.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { toText } from "@std/streams";
import { randomBytes } from "node:crypto";
import { equalBytes } from "../../lib/base/bytes.ts";
import { eventually, fsh, names, type Outcome, scratch, ServerProcess, spawnFsh } from "../support/program.ts";
import { quicEnds } from "../support/scheme.ts";
import { otherUrl } from "../support/tls_programs.ts";

const ignore = Deno.build.os === "windows";
const linux = { ignore: Deno.build.os !== "linux" };
/** What sessions go over, for the kernel. */
const ON_WIRE = quicEnds ? "udp" : "tcp";
/** What a terminal would take for a colour. */
const RED = "\x1b[31mred";

/** A folder for the sockets of one user, and how fsh finds it. */
async function place() {
  const runtime = await scratch();
  const env = { XDG_RUNTIME_DIR: runtime.path, XDG_CONFIG_HOME: join(runtime.path, "config") };
  const sockets = () => {
    try {
      return names(join(runtime.path, "fsh")).map((name) => join(runtime.path, "fsh", name));
    } catch {
      return [];
    }
  };
  return {
    env,
    path: runtime.path,
    sockets,
    run: (...args: string[]) => fsh(args, { env }),
    [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose](),
  };
}

/** A transfer that takes so long that it is still under way when somebody ends it. */
function start(args: readonly string[]): { readonly ended: Promise<Outcome> } {
  return { ended: outcome(spawnFsh(args)) };
}

async function outcome(child: Deno.ChildProcess): Promise<Outcome> {
  const [{ code }, out, err] = await Promise.all([child.status, toText(child.stdout), toText(child.stderr)]);
  return { code, out, err };
}

/** A put whose content comes as the test wants. */
function startPut(url: string) {
  let feed: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stdin = new ReadableStream<Uint8Array>({ start: (controller) => void (feed = controller) });
  const ended = outcome(spawnFsh(["put", "-", url], { stdin }));
  return { ended, write: (bytes: Uint8Array) => feed?.enqueue(bytes), finish: () => feed?.close() };
}

interface Session {
  readonly id: string;
  readonly received: number;
  readonly sent: number;
  readonly streams: readonly { readonly command: string; readonly path: string; readonly bytes: number }[];
}

type Run = (...args: string[]) => Promise<Outcome>;

async function sessions(run: Run): Promise<Session[]> {
  const { out } = await run("sessions", "--json");
  return out.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** A session with a request that has moved something. */
async function busySession(run: Run): Promise<Session> {
  return await eventually("a session that moves bytes", 30_000, async () => {
    const found = await sessions(run);
    return found.find(({ streams }) => streams.some(({ bytes }) => bytes > 0));
  });
}

/** Most of a minute for a get at this rate, longer for a put; and most of it holes. */
const LARGE = 120_000_000;
const SLOWLY = {
  get: ["--limit-rate", "3M", "--compress", "never"],
  put: ["--limit-rate", "1M", "--compress", "never"],
};

async function makeLarge(path: string): Promise<void> {
  await Deno.writeFile(path, randomBytes(1_000_000));
  await Deno.truncate(path, LARGE);
}

async function assertSame(one: string, other: string): Promise<void> {
  assert(equalBytes(await Deno.readFile(one), await Deno.readFile(other)), `${one} and ${other} differ`);
}

Deno.test({
  name: "sessions and sockets say who is there and what moves; a kicked get says why, stays away, and can be resumed",
  ignore,
}, async () => {
  await using local = await place();
  await using server = await ServerProcess.start({ env: local.env });
  await makeLarge(join(server.folder, RED));
  const copy = join(local.path, "copy");
  const client = start(["get", ...SLOWLY.get, `${server.url}${encodeURIComponent(RED)}`, copy]);
  const { id, sent, received, streams } = await busySession(local.run);
  assertEquals(id, "1");
  assertEquals(streams.map(({ command, path }) => [command, path]), [["GET", `/${RED}`]]);
  assert(sent >= (streams[0]?.bytes ?? 0) && received > 0 && received < 100_000);

  const people = await local.run("sessions");
  assertMatch(people.out, /^ID +USER +FROM/);
  assertMatch(
    people.out,
    /\n1 +- +127\.0\.0\.1:\d+ +0:\d\d +- +[\d.]+ (Ki)?B +[\d.]+ MiB +(-|[\d.]+ [KM]?i?B\/s) +GET \/\\x1b\[31mred /,
  );
  assert(!people.out.includes("\x1b"));
  assert(!(await local.run("sessions", "--json")).out.includes("\x1b"));

  const kicked = await local.run("kick", "1", "--reason", `at ${RED} six`);
  assertEquals(kicked.code, 0, kicked.err);
  assertMatch(kicked.out, /^kicked 1: nobody in particular from 127\.0\.0\.1:\d+\n$/);
  const { code, err } = await client.ended;
  assertEquals(code, 3, err);
  assertStringIncludes(err, "the server's operator has ended the session (at \\x1b[31mred six) (says the server)");
  assertStringIncludes(err, "fsh get --resume");
  assertMatch(await server.logged(/ control request=kick .*/), /kicked=1 reason=".*six"/);
  await server.logged(/session ended .*session=1 .*error=KICKED/);
  assertEquals(server.log.match(/session opened/g)?.length, 1, "it has come back");
  assertEquals((await local.run("kick", "1")).code, 5);
  assertEquals(names(local.path).filter((name) => name === "copy"), []);

  const again = await fsh(["get", "--resume", `${server.url}${encodeURIComponent(RED)}`, copy]);
  assertEquals(again.code, 0, again.err);
  assertMatch(again.err, /going on behind/);
  await assertSame(copy, join(server.folder, RED));
});

Deno.test({
  name: "a put that is kicked leaves nothing under its name, and goes on with --resume; others don't notice",
  ignore,
}, async () => {
  await using local = await place();
  await using server = await ServerProcess.start({ env: local.env, args: ["--durability", "none"] });
  const source = join(local.path, "source");
  await makeLarge(source);
  const put = start(["put", ...SLOWLY.put, source, `${server.url}new`]);
  const { id } = await busySession(local.run);
  const other = startPut(`${server.url}other`);
  other.write(randomBytes(100_000));
  await eventually("another session", 30_000, async () => (await sessions(local.run)).length === 2);
  assertEquals((await local.run("kick", id)).code, 0);
  const { code, err } = await put.ended;
  assertEquals(code, 3, err);
  assertStringIncludes(err, "the server's operator has ended the session");
  assertEquals(names(server.folder).filter((name) => !name.startsWith(".fsh-part-")), []);
  const again = await fsh(["put", "--resume", source, `${server.url}new`]);
  assertEquals(again.code, 0, again.err);
  assertMatch(again.err, /going on behind/);
  await assertSame(source, join(server.folder, "new"));
  other.finish();
  assertEquals((await other.ended).code, 0);
  assertEquals(names(server.folder), ["new", "other"]);
});

Deno.test(
  { name: "sockets have their state, queues, timer and owner; FSH_NATIVE=off what is known without", ...linux },
  async () => {
    for (const [host, native] of [["::1", ""], ["127.0.0.1", "off"]] as const) {
      await using local = await place();
      const env = { ...local.env, FSH_NATIVE: native };
      await using server = await ServerProcess.start({ env, args: ["--host", host] });
      const client = startPut(`${server.url}new`);
      client.write(new Uint8Array(100_000));
      await busySession(local.run);
      const { out, code, err } = await local.run("sockets", "--json");
      assertEquals(code, 0, err);
      const found = out.trim().split("\n").map((line) => JSON.parse(line));
      const address = host === "::1" ? "[::1]" : host;
      const listening = found.find(({ protocol, remote }) => protocol === ON_WIRE && remote === null);
      assertEquals(listening?.state, native === "off" ? undefined : quicEnds ? "UNCONN" : "LISTEN");
      const [one, ...more] = found.filter(({ session }) => session === "1");
      assertEquals(more, []);
      assertEquals([one.protocol, one.local, one.commands], [
        quicEnds ? "quic" : "tcp",
        `${address}:${server.port}`,
        ["PUT"],
      ]);
      const kernels = native !== "off" && !quicEnds;
      assertEquals(one.state, kernels ? "ESTAB" : null);
      if (native !== "off") assertEquals(listening.local, `${address}:${server.port}`);
      if (kernels) {
        assert(one.timer.name === "keepalive" || one.timer.name === "retransmit", JSON.stringify(one.timer));
        assert(one.timer.seconds <= 60);
      }
      const people = await local.run("sockets");
      assertMatch(
        people.out,
        !kernels ? /(tcp|quic) +- +- +- .*1 +- +PUT/ : /tcp +ESTAB +\d+ +\d+ +\S+ +\S+ +\S+ [\d.]+s .*1 +- +PUT/,
      );
      assertEquals((await local.run("kick", "1")).code, 0);
      client.finish();
      assertEquals((await client.ended).code, 3);
    }
  },
);

Deno.test({ name: "drain ends the server once what runs is done, and tells how far it is", ignore }, async () => {
  await using local = await place();
  await using server = await ServerProcess.start({ env: local.env });
  const content = randomBytes(1_000_000);
  const put = startPut(`${server.url}file`);
  put.write(content.slice(0, 100_000));
  await busySession(local.run);
  const first = await local.run("drain");
  assertEquals(first.out, "draining for 30 s at the most: 1 sessions, 1 requests under way\n");
  const waiting = outcome(spawnFsh(["drain", "--wait"], { env: local.env }));
  await eventually("the second drain", 20_000, () => server.log.match(/request=drain/g)?.length === 2);
  assertEquals((await fsh(["ls", server.url])).code, 3);
  put.write(content.slice(100_000));
  put.finish();
  const [{ code, err }, waited] = await Promise.all([put.ended, waiting]);
  assertEquals(code, 0, err);
  assertEquals(waited.code, 0, waited.err);
  assertMatch(
    waited.out,
    /^draining for 30 s at the most: 1 sessions, 1 requests under way\n(.*\n)*drained: no session is left\n$/,
  );
  assertEquals(await Deno.readFile(join(server.folder, "file")), new Uint8Array(content));
  assertEquals((await server.child.status).code, 0);
  assertEquals(local.sockets(), []);
  const gone = await local.run("drain");
  assertEquals(gone.code, 3);
  assertStringIncludes(gone.err, "no running server can be reached");
});

const PLUGIN = `export default { name: "rules", hooks: {} };`;

Deno.test(
  { name: "reload says what came of each plugin and certificate, as its exit status does", ignore },
  async () => {
    await using local = await place();
    const [rules, trusted] = [join(local.path, "rules.js"), join(local.path, "trusted.pem")];
    await Deno.writeTextFile(rules, PLUGIN);
    await using server = await ServerProcess.start({ env: local.env, args: ["--tls", "--plugin", rules] });
    const good = await local.run("reload");
    assertEquals([good.code, good.out], [0, "rules: loaded\ncertificate: loaded\n"], good.err);
    await Deno.writeTextFile(rules, "export default {");
    const bad = await local.run("reload");
    assertEquals(bad.code, 7, bad.out);
    assertMatch(bad.out, /^rules: can't be used, the one before stays: .+\ncertificate: loaded\n$/);
    const json = (await local.run("reload", "--json")).out.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(json.map(({ what, error }) => [what, error === null]), [["rules", false], ["certificate", true]]);
    await Deno.writeTextFile(join(local.path, "config", "fsh", "server.pem"), "nothing");
    assertEquals((await local.run("reload")).code, 1);
    assertEquals((await fsh(["ls", "--fingerprint", await server.fingerprint, server.url])).code, 0);
    assertEquals(names(local.path).includes(trusted), false);
  },
);

Deno.test({
  name: "two servers: which one has to be said; a dead one's socket is replaced, a living one's never",
  ignore,
}, async () => {
  await using local = await place();
  await using one = await ServerProcess.start({ env: local.env });
  const [socket = ""] = local.sockets();
  assertEquals(Deno.lstatSync(socket).mode! & 0o777, 0o600);
  assertEquals(Deno.lstatSync(join(local.path, "fsh")).mode! & 0o777, 0o700);
  await using two = await ServerProcess.start({ env: local.env });
  const unsaid = await local.run("sessions");
  assertEquals(unsaid.code, 2);
  for (const server of [one, two]) {
    // With QUIC it names its other URL.
    const url = quicEnds ? otherUrl(server, {}) : server.url;
    assertStringIncludes(unsaid.err, `${server.folder} on ${url} (pid ${server.pid})`);
  }
  for (const path of local.sockets()) assertEquals((await local.run("sessions", "--control", path)).code, 0);

  const taken = await fsh(["serve", one.folder, "--port", "0", "--control", socket], { env: local.env });
  assertEquals(taken.code, 1);
  assertStringIncludes(taken.err, `${socket}: address already in use`);
  assertEquals((await local.run("sessions", "--control", socket)).code, 0);

  await one.stop("SIGKILL");
  const dead = await local.run("sessions", "--control", socket);
  assertEquals(dead.code, 3);
  assertStringIncludes(dead.err, "its server has ended");
  await using three = await ServerProcess.start({ env: local.env, args: ["--control", socket] });
  assertEquals((await local.run("sessions", "--control", socket)).code, 0);
  await three.stop("SIGKILL");
  assertEquals((await local.run("sessions")).code, 0, "only the second one is left");
  assertEquals(local.sockets().length, 1, "what the dead have left is gone");
  await two.stop();
  assertEquals(local.sockets(), []);
  // A home on a network: whether a socket of another machine is dead can't be seen from here.
  const foreign = join(local.path, "fsh", "7374-1-00000000.sock");
  const made = Deno.listen({ transport: "unix", path: `${foreign}.made` });
  await Deno.link(`${foreign}.made`, foreign);
  made.close();
  assertEquals((await local.run("sessions")).code, 3);
  assertEquals(local.sockets(), [foreign]);
});

Deno.test(
  { name: "a path that something else has is refused and left; --control off opens nothing", ignore },
  async () => {
    await using local = await place();
    await using server = await ServerProcess.start({ env: local.env, args: ["--control", "off"] });
    assertEquals(local.sockets(), []);
    assertEquals((await local.run("sessions")).code, 3);
    const file = join(local.path, "file");
    await Deno.writeTextFile(file, "mine");
    const serve = (path: string) => fsh(["serve", server.folder, "--port", "0", "--control", path], { env: local.env });
    const refused = await serve(file);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.err, `${file}: exists already (and is no socket)`);
    assertEquals(await Deno.readTextFile(file), "mine");
    assertEquals((await serve(join(local.path, "x".repeat(200)))).code, 2);
    assertEquals((await serve(join(local.path, "no", "folder"))).code, 5);
    const wrong = await local.run("sessions", "--control", file);
    assertEquals(wrong.code, 3, wrong.err);
    // A folder that others may write in is not trusted with sockets, the server starts all the same.
    await Deno.mkdir(join(local.path, "fsh"), { recursive: true });
    await Deno.chmod(join(local.path, "fsh"), 0o777);
    await using elsewhere = await ServerProcess.start({ env: local.env });
    assertEquals(names(join(local.path, "fsh")), []);
    assertEquals(names(join(local.path, "config", "fsh", "run")).length, 1);
    assertEquals((await local.run("sessions")).code, 0);
    assertEquals(await elsewhere.stop(), 0);
    // Nowhere to put it: that is said, and the server starts all the same.
    const nowhere = { HOME: "/proc/nothing", XDG_RUNTIME_DIR: "", XDG_CONFIG_HOME: "" };
    await using homeless = await ServerProcess.start({ env: nowhere });
    await homeless.logged(/no control socket; --control PATH/);
    assertEquals((await fsh(["ls", homeless.url])).code, 0);
  },
);
