// What plugins must not be able to do, tried in the compiled executable.
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { join, toFileUrl } from "@std/path";
import { FshError } from "../../lib/base/errors.ts";
import type { PluginPermissions } from "../../lib/hooks/plugin.ts";
import { currentMemory, eventually, peakMemory, scratch } from "../support/program.ts";
import { ask, isAlive, sandboxed } from "../support/sandboxed.ts";

const SECRET = "the-secret-of-the-machine";

/** A plugin whose `authorize` does what the path names, and says what came of it. */
function attacker(attacks: Readonly<Record<string, string>>): string {
  const cases = Object.entries(attacks).map(([name, body]) => `${JSON.stringify(name)}: async () => {${body}},`);
  return `
    const attacks = {${cases.join("\n")}};
    const authorize = async ({ path }) => {
      try {
        return { allow: true, reason: "done: " + Deno.inspect(await attacks[path.slice(1)]()) };
      } catch (error) {
        return { allow: false, reason: String(error) };
      }
    };
    export default { name: "attacker", hooks: { authorize } };`;
}

interface Verdict {
  readonly allow: boolean;
  readonly reason: string;
}

/** What came of each attack. */
async function attack(
  attacks: Readonly<Record<string, string>>,
  permissions: PluginPermissions = {},
): Promise<Record<string, Verdict>> {
  await using subject = await sandboxed(attacker(attacks), { permissions });
  const verdicts: Record<string, Verdict> = {};
  for (const name of Object.keys(attacks)) {
    const reply = await ask(subject.host, `/${name}`);
    verdicts[name] = "answer" in reply ? reply.answer as Verdict : { allow: false, reason: reply.failure };
  }
  return verdicts;
}

function assertAllRefused(verdicts: Record<string, Verdict>): void {
  const through = Object.entries(verdicts).filter(([, { allow, reason }]) => allow || reason.includes(SECRET));
  assertEquals(through, []);
}

const NEEDS_NODE = "const process = globalThis.process ?? globalThis.global?.process;";

Deno.test("each thing that needs a permission is refused without it, and works with it", async () => {
  await using outside = await scratch();
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr as Deno.NetAddr;
  const target = join(outside.path, "written");
  const attacks = {
    read: `return (await Deno.readTextFile("/etc/passwd")).length > 0;`,
    net: `(await Deno.connect({ hostname: "127.0.0.1", port: ${port} })).close(); return true;`,
    run: `return (await new Deno.Command("true").output()).success;`,
    env: `return Deno.env.get("PATH");`,
    write: `await Deno.writeTextFile(${JSON.stringify(target)}, "x"); return true;`,
  };
  const refused = await attack(attacks);
  assertAllRefused(refused);
  for (const kind of Object.keys(attacks)) assertMatch(refused[kind]?.reason ?? "", /NotCapable/);
  assertEquals(await Deno.stat(target).catch(() => "nothing"), "nothing");
  const allowed = await attack(attacks, {
    read: ["/etc/passwd"],
    net: [`127.0.0.1:${port}`],
    run: ["true"],
    env: ["PATH"],
    write: [target],
  });
  for (const [kind, { allow, reason }] of Object.entries(allowed)) assert(allow, `${kind}: ${reason}`);
  assertEquals(await Deno.readTextFile(target), "x");
  listener.close();
});

Deno.test("a permission is for what it names, and for nothing beside it", async () => {
  await using outside = await scratch();
  await Deno.writeTextFile(join(outside.path, "secret"), SECRET);
  await Deno.mkdir(join(outside.path, "granted"));
  await Deno.writeTextFile(join(outside.path, "granted", "file"), "x");
  const granted = join(outside.path, "granted");
  const path = (name: string) => JSON.stringify(join(outside.path, name));
  assertAllRefused(
    await attack({
      "read beside": `return Deno.readTextFile(${path("secret")})`,
      "read by ..": `return Deno.readTextFile(${JSON.stringify(`${granted}/../secret`)})`,
      "copy in": `return Deno.copyFile(${path("secret")}, ${path("granted/copy")})`,
      "symbolic link": `return Deno.symlink(${path("secret")}, ${path("granted/link")})`,
      "hard link": `return Deno.link(${path("secret")}, ${path("granted/link")})`,
      "move out": `return Deno.rename(${path("granted/file")}, ${path("moved")})`,
      "own memory": `return Deno.open("/proc/self/mem", { write: true })`,
      "another host": `return Deno.connect({ hostname: "127.0.0.2", port: 9 })`,
      "another port": `return Deno.connect({ hostname: "127.0.0.1", port: 10 })`,
      "listen elsewhere": `return Deno.listen({ hostname: "127.0.0.1", port: 0 })`,
      "another variable": `return Deno.env.get("HOME") ?? "unset"`,
      "all variables": `return Deno.env.toObject()`,
      "another program": `return new Deno.Command("id").output()`,
      "with a library of its own": `return new Deno.Command("true", { env: { LD_PRELOAD: "/x.so" } }).output()`,
      "signal": `return Deno.kill(Deno.ppid, "SIGCONT")`,
      "dynamic library": `return Deno.dlopen("libc.so.6", {})`,
    }, { read: [granted], write: [granted], net: ["127.0.0.1:9"], env: ["LANG"], run: ["true"] }),
  );
});

Deno.test("the server's own secrets in /proc stay there, whatever was granted", async () => {
  const name = "FSH_TEST_SECRET";
  Deno.env.set(name, SECRET);
  try {
    const read = (path: string) => `return Deno.readTextFile(${path})`;
    assertAllRefused(
      await attack({
        "own environment": read('"/proc/self/environ"'),
        "the server's environment": read("`/proc/${Deno.ppid}/environ`"),
        "the server's memory": "return Deno.open(`/proc/${Deno.ppid}/mem`, { read: true, write: true })",
        "the server's files": read("`/proc/${Deno.ppid}/fd/1`"),
        "the server's root": read("`/proc/${Deno.ppid}/root/etc/passwd`"),
        "kernel": read('"/sys/kernel/notes"'),
      }, { read: ["/"], write: ["/"] }),
    );
    const { inherited } = await attack({ inherited: `return Deno.env.get("${name}") ?? "nothing"` }, { env: ["*"] });
    assert(!inherited?.reason.includes(SECRET), inherited?.reason);
  } finally {
    Deno.env.delete(name);
  }
});

Deno.test("no code out of text, no modules but its own, no doors of the runtime", async () => {
  await using outside = await scratch();
  await Deno.writeTextFile(join(outside.path, "secret.js"), `export default "${SECRET}";`);
  await Deno.writeTextFile(join(outside.path, "secret.json"), `{"secret":"${SECRET}"}`);
  const js = toFileUrl(join(outside.path, "secret.js")).href;
  const importing = JSON.stringify(`import("${js}")`);
  assertAllRefused(
    await attack({
      "eval": `return eval(${importing})`,
      "indirect eval": `return (0, eval)(${importing})`,
      "Function": `return new Function("return " + ${importing})()`,
      "AsyncFunction": `return (async () => {}).constructor("return " + ${importing})()`,
      "GeneratorFunction": `return (function* () {}).constructor("yield " + ${importing})().next()`,
      "timer with text": `
        setTimeout("globalThis.ran = " + ${importing}, 0);
        await new Promise((resolve) => setTimeout(resolve, 50));
        if (!globalThis.ran) throw "not run";`,
      "engine room": `return Deno[Deno.internal].core.evalContext(${importing}, "file:///x.js")`,
      "engine room by its symbol": `
        for (const key of Object.getOwnPropertySymbols(Deno)) if (Deno[key]?.core) return Deno[key].core;
        throw "not found";`,
      "process": `${NEEDS_NODE} return process.version`,
      "getBuiltinModule": `${NEEDS_NODE} return process.getBuiltinModule("fs")`,
      "require": `return require("node:fs")`,
      "module": `return module.constructor._load("fs")`,
      "Worker": `return new Worker("data:text/javascript,", { type: "module" })`,
      "Worker of a prototype": `
        for (let at = globalThis; at; at = Object.getPrototypeOf(at)) {
          if (Object.getOwnPropertyDescriptor(at, "Worker")) return "there";
        }
        throw "not there";`,
      "SharedWorker": `return new SharedWorker("data:text/javascript,")`,
      "caches": `return await caches.open("x")`,
      "Cache made by hand": `return await new CacheStorage().open("x")`,
      "localStorage": `localStorage.setItem("a", "b"); return true`,
      "sessionStorage": `sessionStorage.setItem("a", "b"); return true`,
      "openKv": `return await Deno.openKv()`,
      "post to the process": `postMessage("x"); return true`,
      "graphics card": `return (await navigator.gpu.requestAdapter()) ?? "none"`,
      "resolve": `return await fetch(import.meta.resolve("${js}"))`,
      "blob script": `
        const url = URL.createObjectURL(new Blob([${importing}], { type: "text/javascript" }));
        return new Worker(url, { type: "module" })`,
      "permission request": `
        const { state } = await Deno.permissions.request({ name: "read" });
        if (state !== "granted") throw state;
        return state;`,
      "fetch file": `return await (await fetch("${toFileUrl(join(outside.path, "secret.json")).href}")).text()`,
      "fetch net": `return await fetch("http://127.0.0.1:9/")`,
      "WebSocket": `return await new Promise((resolve, reject) => {
        const socket = new WebSocket("ws://127.0.0.1:9/");
        socket.onopen = resolve;
        socket.onerror = () => reject("no");
      })`,
      "EventSource": `return await new Promise((resolve, reject) => {
        const source = new EventSource("http://127.0.0.1:9/");
        source.onopen = resolve;
        source.onerror = () => { source.close(); reject("no"); };
      })`,
      "unix socket": `return await Deno.connect({ transport: "unix", path: "/run/x.sock" })`,
      "proxy": `return Deno.createHttpClient({ proxy: { transport: "unix", path: "/run/x.sock" } })`,
      "datagram": `return Deno.listenDatagram({ transport: "udp", port: 0 })`,
      "resolveDns": `return await Deno.resolveDns("localhost", "A")`,
      "host name": `return Deno.hostname()`,
      "addresses": `return Deno.networkInterfaces()`,
      "memory of the system": `return Deno.systemMemoryInfo()`,
      "user": `return Deno.uid()`,
      "load": `return Deno.loadavg()`,
      "pointer": `return new Deno.UnsafePointerView(Deno.UnsafePointer.create(4096n)).getUint8()`,
      "callback": `return new Deno.UnsafeCallback({ parameters: [], result: "void" }, () => {})`,
      "spawn": `return await Deno.spawnAndWait("id")`,
      "old run": `return await Deno.run({ cmd: ["id"] })`,
      "chdir": `Deno.chdir("/"); return true`,
      "temporary file": `return await Deno.makeTempFile()`,
      "folder": `return [...Deno.readDirSync("/")]`,
      "watch": `return Deno.watchFs("/")`,
      "exit": `Deno.exit(0)`,
    }),
  );
});

Deno.test("import() is found wherever it hides", async () => {
  await using outside = await scratch();
  await Deno.writeTextFile(join(outside.path, "secret.js"), `export default "${SECRET}";`);
  const url = JSON.stringify(toFileUrl(join(outside.path, "secret.js")).href);
  const tricks = [
    `take(import(${url}));`,
    `take(import/* a comment */(${url}));`,
    `take(import\n// a line\n(${url}));`,
    `const a = function () {} / take(import(${url})) / 1;`,
    `const a = async function (b = {}) {} / take(import(${url})) / 1;`,
    `const a = class {} / take(import(${url})) / 1;`,
    `const a = class extends Object {} / take(import(${url})) / 1;`,
    `const a = { return: 1 }; const b = a. return / take(import(${url})) / 1;`,
    `const a = { while: () => 1 }; const b = a./**/while (1) / take(import(${url})) / 1;`,
    "const a = `${function () {} / take(import(" + url + ")) / 1}`;",
    "const a = `${`${{} / take(import(" + url + ")) / 1}`}`;",
    `const a = [function () {} / take(import(${url})) / 1];`,
    `const a = [...take(import(${url}))];`,
    `let a = 1; a++ / take(import(${url})) / 1;`,
    `let b = /[/]/.test("/"); take(import(${url}));`,
    `take(im\\u0070ort(${url}));`,
    `take(import.source(${url}));`,
    `take(import.defer(${url}));`,
    `import defer * as a from ${url}; take(a.default);`,
    `import source a from ${url}; take(a);`,
    `import a from ${url}; take(a);`,
    `export { default as a } from ${url};`,
    `export * from ${url};`,
    `import a from ${url} with { type: "json" }; take(a);`,
    `import a from "data:text/javascript,export default 1"; take(a);`,
    `import a from "node:fs"; take(a);`,
    `import a from "npm:amaro"; take(a);`,
    `import a from "https://example.com/a.js"; take(a);`,
    `import a from ${JSON.stringify(join(outside.path, "secret.js"))}; take(a);`,
  ];
  const through: string[] = [];
  for (const trick of tricks) {
    const code = `
      function take(value) { globalThis.taken = value; return 1; }
      ${trick}
      const authorize = async () => ({ allow: true, reason: Deno.inspect(await globalThis.taken) });
      export default { name: "attacker", hooks: { authorize } };`;
    const outcome = await sandboxed(code).then((subject) => subject, (error) => error);
    if (outcome instanceof FshError && outcome.name === "FshError") continue;
    through.push(trick);
    await outcome[Symbol.asyncDispose]?.();
  }
  assertEquals(through, []);
});

Deno.test("what a plugin overrides of the language changes its own answers only", async () => {
  await using subject = await sandboxed(`
    const forged = () => ({ allow: true, reason: "forged" });
    JSON.stringify = new Proxy(JSON.stringify, { apply: (to, self, [value, ...more]) =>
      Reflect.apply(to, self, [value?.type === "replies" ? { ...value, constructor: 1, __proto__: { polluted: 1 },
        replies: value.replies.map(() => ({ answer: JSON.parse('{"allow":true,"__proto__":{"polluted":true}}') })) } : value, ...more]) });
    Array.prototype.map = new Proxy(Array.prototype.map, {});
    Promise.prototype.then = new Proxy(Promise.prototype.then, {});
    Object.prototype.polluted = true;
    export default { name: "attacker", hooks: { authorize: forged } };`);
  const reply = await ask(subject.host, "/x");
  assertEquals((reply as { answer: { allow: boolean } }).answer.allow, true);
  assertEquals((Object.prototype as { polluted?: boolean }).polluted, undefined);
});

Deno.test("a manifest that is forged past the check gets nobody anywhere", async () => {
  const forge = (manifest: string) => `
    const text = new TextEncoder().encode(JSON.stringify({ type: "loaded", manifest: ${manifest} }));
    const head = new Uint8Array(8);
    new DataView(head.buffer).setUint32(0, text.length);
    Deno.stdout.writeSync(new Uint8Array([...head, ...text]));
    export default { name: "attacker", hooks: {} };`;
  const whole = { name: "a", description: "", hooks: [], methods: [], permissions: {}, options: {} };
  const manifests = [
    "null",
    "5",
    JSON.stringify({ ...whole, name: "../x" }),
    JSON.stringify({ ...whole, hooks: "authorize" }),
    JSON.stringify({ ...whole, methods: 5 }),
    JSON.stringify({ ...whole, permissions: { read: true } }),
    JSON.stringify({ ...whole, permissions: { ffi: ["/"] } }),
    JSON.stringify({ ...whole, hooks: ["log"], deadlines: { log: 1e300 } }),
    JSON.stringify({ ...whole, options: { a: { type: "string", help: "", values: 5 } } }),
  ];
  for (const manifest of manifests) {
    const error = await sandboxed(forge(manifest)).then(
      (subject) => subject[Symbol.asyncDispose]().then(() => "it runs"),
      String,
    );
    assertStringIncludes(error, "the plugin can't be used", manifest);
  }
});

for (const [what, path] of [["is idle", "/wait"], ["loops", "/loop"], ["has hardly begun", "/unborn"]] as const) {
  Deno.test(`a server that is killed leaves no sandbox behind: the plugin ${what}`, async () => {
    await using folder = await scratch();
    const file = join(folder.path, "subject.js");
    await Deno.writeTextFile(
      file,
      `const authorize = async ({ path }) => {
        if (path === "/loop") for (;;);
        await new Promise(() => {});
      };
      export default { name: "subject", hooks: { authorize } };`,
    );
    const owner = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--allow-all",
        new URL("../support/sandbox_owner.ts", import.meta.url).pathname,
        file,
        path,
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = owner.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const sandbox = Number((await reader.read()).value);
    assert(isAlive(sandbox));
    if (path === "/loop") await new Promise((resolve) => setTimeout(resolve, 200));
    owner.kill("SIGKILL");
    await owner.status;
    await reader.cancel();
    await eventually("the sandbox to end", 3_000, () => !isAlive(sandbox));
  });
}

Deno.test("Ctrl-C in a terminal is for the server: a plugin's process is of another group", async () => {
  await using subject = await sandboxed(attacker({ nothing: "return true" }));
  const group = (pid: number) => Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /, "").split(" ")[2];
  assertNotEquals(group(subject.host.pid ?? 0), group(Deno.pid));
});

Deno.test("memory: a plugin that takes too much is ended, whichever way it takes it", async () => {
  const ways = {
    heap: "const all = []; for (;;) { all.push(new Array(100_000).fill(all.length)); await 0; }",
    buffers: "const all = []; for (;;) all.push(new Uint8Array(64 << 20).fill(1));",
    wasm:
      "const all = []; for (;;) { const m = new WebAssembly.Memory({ initial: 500 }); new Uint8Array(m.buffer).fill(1); all.push(m); }",
    shared: "const all = []; for (;;) all.push(new Uint8Array(new SharedArrayBuffer(64 << 20)).fill(1));",
  };
  for (const [way, code] of Object.entries(ways)) {
    await using subject = await sandboxed(attacker({ take: code }));
    const pid = subject.host.pid ?? 0;
    const asking = ask(subject.host, "/take", 20_000);
    let most = 0;
    while (isAlive(pid)) {
      most = Math.max(most, peakMemory(pid));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert("failure" in await asking, way);
    assert(most < 1500, `${way}: ${most} MiB`);
    await eventually("it to run again", 5_000, () => subject.host.pid);
    assert(currentMemory(subject.host.pid ?? 0) < 300);
  }
});
