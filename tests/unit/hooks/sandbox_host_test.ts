import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { silentLog } from "../../../lib/base/log.ts";
import { launchSandbox } from "../../../lib/cli/sandbox.ts";
import { makeEvent } from "../../../lib/hooks/host.ts";
import { HookSet } from "../../../lib/hooks/hook_set.ts";
import { asked, chunkFacts, logged, session } from "../../support/plugins.ts";
import { eventually } from "../../support/program.ts";
import { repliesOf } from "../../support/replies.ts";
import { ask, children, isAlive, type Sandboxed, sandboxed } from "../../support/sandboxed.ts";

const start = (code: string, permissions = {}) => sandboxed(code, { launch: launchSandbox, permissions });

/** A plugin that allows everything but does this when a path says so. */
function that(does: string, more = ""): string {
  return `${more}
    const authorize = async ({ path }) => {
      if (path === "/now") { ${does} }
      return { allow: true };
    };
    export default { name: "subject", deadlines: { authorize: 300 }, hooks: { authorize } };`;
}

const ALLOWED = { answer: { allow: true } };

/** Waits until the plugin runs again in another process. */
async function restarted({ host }: Sandboxed, before: number | null): Promise<void> {
  await eventually("the plugin to run again", 10_000, () => host.pid !== null && host.pid !== before);
  assertEquals(await ask(host, "/a"), ALLOWED);
  assert(before === null || !isAlive(before));
}

Deno.test("an endless loop: refused at the deadline, ended, started again; another plugin notices nothing", async () => {
  await using subject = await start(that("for (;;);"));
  await using other = await start(that(""));
  const before = subject.host.pid;
  const set = new HookSet([subject.host], silentLog);
  const begun = performance.now();
  const [ruling] = await set.rule("authorize", [asked("/now")]);
  assertEquals([ruling?.allow, ruling?.by], [false, "subject"]);
  assert(performance.now() - begun < 600);
  assertEquals(await ask(other.host, "/a"), ALLOWED);
  const [meanwhile] = await set.rule("authorize", [asked("/a")]);
  assertEquals(meanwhile?.allow, false);
  await restarted(subject, before);
  assertStringIncludes(subject.records.map(({ fields }) => fields.reason).join(), "it did not answer any more");
});

Deno.test("a plugin that is slow only is left alone", async () => {
  await using subject = await start(that("await new Promise((resolve) => setTimeout(resolve, 1_500));"));
  const before = subject.host.pid;
  assert("failure" in await ask(subject.host, "/now", 100));
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  assertEquals(subject.host.pid, before);
  assertEquals(await ask(subject.host, "/a"), ALLOWED);
});

for (
  const [what, allocation] of Object.entries({
    "heap": "const all = []; for (;;) { all.push(new Array(100_000).fill(all.length)); await 0; }",
    "buffers":
      "const all = []; for (;;) { all.push(new Uint8Array(8 << 20).fill(1)); await new Promise((r) => setTimeout(r)); }",
    "text":
      "let all = 'x'; const kept = []; for (;;) { kept.push((all + kept.length).repeat(1 << 20)); kept.at(-1).charCodeAt(5); await 0; }",
  })
) {
  Deno.test(`allocation until death: ${what}`, async () => {
    await using subject = await start(that(allocation));
    const before = subject.host.pid;
    const reply = await ask(subject.host, "/now", 20_000);
    assert("failure" in reply);
    await restarted(subject, before);
    assertEquals(children(subject.folder).length, 1);
  });
}

Deno.test("a throw at load says where, and leaves no process", async () => {
  const outcome = await start("\n\nthrow new Error('not today');").then(() => "started", String);
  assertMatch(outcome, /subject\.js.*can't be used.*not today[^]*subject\.js:3:7/);
  for (const code of ["export default 5;", "", "export default { name: 'a' };", "await new Promise(() => {});"]) {
    assertMatch(await start(code).then(() => "started", String), /can't be used/);
  }
  const failing = "export default { name: 'a', hooks: {}, start() { throw new Error('no database'); } };";
  assertStringIncludes(await start(failing).then(() => "started", String), "no database");
  const exiting = `const { log } = console; Deno.exit = 1; throw "x";`;
  assertMatch(await start(exiting).then(() => "started", String), /can't be used/);
  assertEquals(children("fsh-sandbox-"), []);
});

Deno.test("a throw in every hook is a failure of each call, with file and line, and ends nothing", async () => {
  await using subject = await start(`const hook = () => {
    throw new RangeError("always");
  };
  export default { name: "subject", hooks: { authorize: hook, log: hook } };`);
  const before = subject.host.pid;
  for (let i = 0; i < 20; i++) {
    const reply = await ask(subject.host, "/a");
    assertMatch((reply as { failure: string }).failure, /RangeError: always[^]*subject\.js:2:11/);
  }
  const log = makeEvent("log", logged("x"));
  assert("failure" in ((await repliesOf(subject.host, { hook: "log", events: [log] }))[0] ?? {}));
  assertEquals(subject.host.pid, before);
});

Deno.test("what fails later, outside of any call, is logged and ends nothing", async () => {
  await using subject = await start(that(`
    setTimeout(() => { throw new Error("thrown later"); }, 1);
    setTimeout(() => Promise.reject(new Error("rejected later")), 1);
    queueMicrotask(() => { throw "no error"; });`));
  const before = subject.host.pid;
  assertEquals(await ask(subject.host, "/now"), ALLOWED);
  const said = () => subject.records.map(({ message }) => message).join();
  await eventually("both to be logged", 3_000, () => /thrown later/.test(said()) && /rejected later/.test(said()));
  assertEquals(await ask(subject.host, "/a"), ALLOWED);
  assertEquals(subject.host.pid, before);
});

Deno.test("Deno.exit ends nothing; a worker that ends itself is started again", async () => {
  await using subject = await start(that("Deno.exit(3);"));
  const before = subject.host.pid;
  assertMatch(((await ask(subject.host, "/now")) as { failure: string }).failure, /can't end the server/);
  assertEquals(subject.host.pid, before);
  await using closing = await start(that("Deno.stdin.close(); Deno.stdout.close();"));
  const first = closing.host.pid;
  assert("failure" in await ask(closing.host, "/now", 200));
  await restarted(closing, first);
});

Deno.test("a flood of output takes neither memory nor the server's time", async () => {
  await using subject = await start(that(`
    const end = Date.now() + 1_500;
    while (Date.now() < end) {
      for (let i = 0; i < 1000; i++) console.log("x".repeat(1000), i);
      await new Promise((resolve) => setTimeout(resolve));
    }`));
  let longest = 0;
  let last = performance.now();
  const ticker = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  await ask(subject.host, "/now", 3_000);
  clearInterval(ticker);
  assert(longest < 500, `the server was held up for ${longest} ms`);
  assert(subject.printed.length > 100 && subject.printed.length < 60_000, String(subject.printed.length));
});

Deno.test("long lines are cut, odd values shown", async () => {
  await using subject = await start(that(`
    console.log("€".repeat(1_000_000)); console.log({ a: [1n] }, undefined); console.error("to the log");
    console.log();`));
  await ask(subject.host, "/now");
  const [long, odd, empty] = subject.printed;
  assert((long ?? "").length <= 64 * 1024);
  assertEquals([odd, empty], ["{ a: [ 1n ] } undefined", ""]);
  assert(subject.records.some(({ message, level }) => message === "to the log" && level === "warn"));
});

for (
  const [what, bytes] of Object.entries({
    "text": `new TextEncoder().encode("hello, this is no message\\n")`,
    "a length without end": `new Uint8Array([0, 127, 255, 255, 0, 0, 0, 0])`,
    "bytes": `new Uint8Array(100_000).map((_, index) => index * 7)`,
    "a message of no type": `new Uint8Array([0, 0, 0, 2, 0, 0, 0, 0, 123, 125])`,
  })
) {
  Deno.test(`garbage on standard output ends the process: ${what}`, async () => {
    await using subject = await start(that(`Deno.stdout.writeSync(${bytes}); await new Promise(() => {});`));
    const before = subject.host.pid;
    assert("failure" in await ask(subject.host, "/now", 2_000));
    if (what === "a length without end") {
      assertEquals(await ask(subject.host, "/a", 200).then((reply) => "failure" in reply), true);
    }
    await restarted(subject, before);
  });
}

Deno.test("garbage on standard error is nobody's business", async () => {
  await using subject = await start(that(`Deno.stderr.writeSync(new Uint8Array(1_000_000).fill(200));`));
  assertEquals(await ask(subject.host, "/now"), ALLOWED);
});

Deno.test("replies to calls that were not made change nothing", async () => {
  await using subject = await start(that(`
    const tell = (message) => {
      const text = new TextEncoder().encode(JSON.stringify([message]));
      const head = new Uint8Array(8);
      new DataView(head.buffer).setUint32(0, text.length);
      Deno.stdout.writeSync(new Uint8Array([...head, ...text]));
    };
    const yes = { answer: { allow: true } };
    for (const id of [-1, 0, 1e9, 1.5]) tell({ type: "replies", id, at: 0, replies: [yes] });
    for (const at of [-1, 1, 1e9, 0.5]) tell({ type: "replies", id: 1, at, replies: [yes] });
    for (const type of ["pong", "started", "stopped"]) tell({ type });
    return { allow: false };`));
  assertEquals(await ask(subject.host, "/now"), { answer: { allow: false } });
  assertEquals(await ask(subject.host, "/a"), ALLOWED);
});

Deno.test("it is started again with growing pauses", async () => {
  await using subject = await start(that("for (;;);"));
  for (let i = 0; i < 3; i++) {
    const before = subject.host.pid;
    Deno.kill(before ?? 0, "SIGKILL");
    await restarted(subject, before);
  }
  const pauses = subject.records.filter(({ message }) => message.includes("has ended")).map(({ fields }) =>
    fields.pause
  );
  assertEquals(pauses, [0.1, 0.2, 0.4]);
});

Deno.test("calls that wait when it dies fail at once", async () => {
  await using subject = await start(that("await new Promise(() => {});"));
  const before = subject.host.pid;
  const calls = Array.from({ length: 50 }, () => ask(subject.host, "/now", 30_000));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const begun = performance.now();
  Deno.kill(before ?? 0, "SIGKILL");
  for (const reply of await Promise.all(calls)) assert("failure" in reply);
  assert(performance.now() - begun < 1_000);
  await restarted(subject, before);
});

Deno.test("stopping: at once when it is idle, within its limit when it loops, and while it is started again", async () => {
  const idle = await start(that(""));
  let begun = performance.now();
  const pids = [idle.host.pid ?? 0];
  await idle[Symbol.asyncDispose]();
  assert(performance.now() - begun < 1_000);
  const looping = await start(that("for (;;);"));
  pids.push(looping.host.pid ?? 0);
  void ask(looping.host, "/now");
  begun = performance.now();
  await looping[Symbol.asyncDispose]();
  assert(performance.now() - begun < 3_500);
  const starting = await start(that(""));
  const first = starting.host.pid ?? 0;
  pids.push(first);
  Deno.kill(first, "SIGKILL");
  await eventually("its next process", 3_000, () => children(starting.folder).find((pid) => pid !== first));
  await starting[Symbol.asyncDispose]();
  assertEquals(pids.filter(isAlive), []);
  assertEquals(children("fsh-sandbox-"), []);
});

Deno.test("stopping does not wait for a plugin that hangs while it is started again", async () => {
  const until = Date.now() + 2_000;
  const subject = await start(`if (Date.now() > ${until}) await new Promise(() => {});\n${that("")}`);
  const first = subject.host.pid ?? 0;
  await new Promise((resolve) => setTimeout(resolve, until + 1 - Date.now()));
  Deno.kill(first, "SIGKILL");
  await eventually("its next process", 3_000, () => children(subject.folder).find((pid) => pid !== first));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const begun = performance.now();
  await subject[Symbol.asyncDispose]();
  assert(performance.now() - begun < 1_000);
  assertEquals(children("fsh-sandbox-"), []);
});

Deno.test("what it has started ends with it, however it ends, and does not keep it", async () => {
  await using subject = await start(
    that(`const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
      return { allow: true, reason: String(child.pid) };`),
    { run: ["sleep"] },
  );
  const sleeper = async () => {
    const { answer } = await ask(subject.host, "/now") as { answer: { reason: string } };
    assert(isAlive(Number(answer.reason)));
    return Number(answer.reason);
  };
  const [first, before] = [await sleeper(), subject.host.pid];
  Deno.kill(before ?? 0, "SIGKILL");
  await restarted(subject, before);
  await eventually("the program to end", 2_000, () => !isAlive(first));
  const second = await sleeper();
  const begun = performance.now();
  await subject.host.stop();
  assert(performance.now() - begun < 3_000);
  await eventually("the program to end", 2_000, () => !isAlive(second));
});

Deno.test("a program that can't be started is named", async () => {
  const outcome = await sandboxed(that(""), { launch: () => ({ command: "/nonexistent/fsh", args: [] }) }).then(
    () => "started",
    String,
  );
  assertMatch(outcome, /can't be used \(its process can't be started/);
  const silent = await sandboxed(that(""), { launch: () => ({ command: "true", args: [] }) }).then(
    () => "started",
    String,
  );
  assertMatch(silent, /can't be used \(exit status 0/);
});

Deno.test("an event with a session of another shape is told as it is", async () => {
  await using subject = await start(`export default { name: "subject", hooks: {
    authorize: (event) => ({ allow: true, reason: JSON.stringify(event.session) }) } };`);
  const odd = session("ü\u0000\n😀");
  const [reply] = await repliesOf(subject.host, {
    hook: "authorize",
    events: [makeEvent("authorize", asked("/a", odd))],
  });
  assertEquals(JSON.parse((reply as { answer: { reason: string } }).answer.reason), odd);
  assertNotEquals(subject.host.pid, null);
});

/** What a plugin in a sandbox says to requests that ask at the same time. */
async function ruledTogether({ host }: Sandboxed, paths: readonly string[]): Promise<(boolean | undefined)[]> {
  const set = new HookSet([host], silentLog);
  return await Promise.all(paths.map(async (path) => (await set.rule("authorize", [asked(path)]))[0]?.allow));
}

for (const [what, letter, count] of [["that JSON escapes", "\u0001", 512], ["as they are", "a", 3_000]] as const) {
  Deno.test(`a burst of the longest paths, ${what}, is answered`, async () => {
    await using subject = await start(`export default { name: "subject", hooks: { filterPath: (e) => e.path } };`);
    const before = subject.host.pid;
    const set = new HookSet([subject.host], silentLog);
    const folder = `/${letter.repeat(254)}`.repeat(15);
    const paths = Array.from({ length: count }, (_, index) => `${folder}/${index}`);
    const mapped = await Promise.all(paths.map(async (path) => {
      const [mapping] = await set.map([{ session: session(), command: "stat", path }]);
      return mapping?.path;
    }));
    assert(mapped.every((path, index) => path === paths[index]));
    assertEquals([subject.host.pid, subject.records], [before, []]);
  });
}

Deno.test("an answer that can't be told fails alone: a refusal beside it stays one, where failures are no opinion", async () => {
  await using subject = await start(`export default { name: "subject", failOpen: ["authorize"], hooks: {
    authorize: ({ path }, { log }) => {
      if (path === "/log") log.info("odd", { n: 5n });
      return path === "/odd" ? { allow: true, n: 5n } : { allow: path !== "/secret" };
    } } };`);
  assertEquals(await ruledTogether(subject, ["/odd", "/secret", "/log", "/a"]), [true, false, true, true]);
  await eventually(
    "the record",
    3_000,
    () => subject.records.some(({ message }) => message.startsWith("odd (its fields")),
  );
});

Deno.test("whatever is thrown fails the event alone, and ends nothing", async () => {
  await using subject = await start(`
    const odd = {
      "/bare": () => Object.create(null),
      "/getter": () => Object.defineProperty(new Error(), "stack", { get() { throw new Error("again"); } }),
      "/stack": () => Object.assign(new Error(), { stack: 5 }),
      "/symbol": () => Symbol("odd"),
      "/proxy": () => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; },
    };
    const later = { "/rejects": odd["/bare"] };
    const authorize = ({ path }) => {
      if (odd[path]) throw odd[path]();
      return later[path] ? Promise.reject(later[path]()) : { allow: true };
    };
    export default { name: "subject", deadlines: { authorize: 5_000 }, hooks: { authorize } };`);
  const before = subject.host.pid;
  const paths = ["/a", "/bare", "/getter", "/stack", "/symbol", "/proxy", "/rejects", "/b"];
  const begun = performance.now();
  assertEquals(await ruledTogether(subject, paths), [true, false, false, false, false, false, false, true]);
  assert(performance.now() - begun < 4_000);
  assertEquals(subject.host.pid, before);
});

for (const [what, hook] of Object.entries({ "at once": "(event) => busy()", "later": "async (event) => busy()" })) {
  Deno.test(`a hook that takes long, and answers ${what}: what is answered by the deadline counts`, async () => {
    await using subject = await start(`
      const busy = () => { for (const end = performance.now() + 80; performance.now() < end;); };
      export default { name: "subject", deadlines: { content: 800 }, hooks: { content: ${hook} } };`);
    const set = new HookSet([subject.host], silentLog);
    const all = await Promise.all(Array.from({ length: 16 }, async (_, index) => {
      const [ruling] = await set.rule("content", [{ ...chunkFacts(`/${index}`), chunk: new Uint8Array(60_000) }]);
      return ruling?.allow;
    }));
    const allowed = all.indexOf(false);
    assert(allowed >= 3, `allowed: ${allowed}`);
    assert(!all.slice(allowed).includes(true));
  });
}
