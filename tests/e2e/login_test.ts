import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { silentLog } from "../../lib/base/log.ts";
import { PrivateKey } from "../../lib/base/private_key.ts";
import { PublicKey } from "../../lib/base/public_key.ts";
import { safePath } from "../../lib/base/virtual_path.ts";
import { DEFAULT_LIMITS } from "../../lib/client/client.ts";
import { Server } from "../../lib/server/server.ts";
import { MemoryStorage } from "../../lib/storage/memory.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { quicEnds, SCHEME } from "../support/scheme.ts";
import { accounts, PASSWORD, TOKEN } from "../support/accounts.ts";
import { FSH, fsh, hasProgram, names, scratch } from "../support/program.ts";
import { onTerminal as runOnTerminal } from "../support/terminal.ts";
import { Proxy } from "../support/proxy.ts";
import { store } from "../support/stored_files.ts";

/** A server with accounts, over TCP; its URL names no user. */
async function serving(options: { methods?: readonly string[]; key?: PrivateKey } = {}) {
  const { offers, ...rest } = await accounts({ ...options, access: "write" });
  const storage = new MemoryStorage();
  await storage.mkdir(safePath("/home"));
  await store(storage, "/home/hello", "hello");
  const server = await Server.start({
    transport: quicEnds?.transport ?? new TcpTransport(),
    storage,
    hostname: "127.0.0.1",
    port: 0,
    log: silentLog,
    limits: DEFAULT_LIMITS,
    readOnly: false,
    maxSessions: 100,
    handshakeTimeout: 5000,
    idleTimeout: 0,
    stallTimeout: 0,
    ...rest,
  });
  return {
    offers,
    port: server.port,
    url: (user: string) => `${SCHEME}://${user}${user && "@"}127.0.0.1:${server.port}/`,
    async [Symbol.asyncDispose]() {
      await server.close({ limit: 1 });
      await quicEnds?.settled();
    },
  };
}

/** None of what the machine that runs the tests has. */
const NOTHING = { FSH_PASSWORD: "", FSH_TOKEN: "", FSH_IDENTITY: "" };

Deno.test("a password comes from the environment or a file, and never crosses the wire", async () => {
  await using server = await serving();
  await using folder = await scratch();
  const file = `${folder.path}/password`;
  await Deno.writeTextFile(file, PASSWORD + "\n", { mode: 0o600 });
  const seen: number[] = [];
  await using proxy = new Proxy(server.port, { change: (piece) => seen.push(...piece) });
  const url = proxy.url.replace("//", "//an@");
  const byVariable = await fsh(["ls", url], { env: { ...NOTHING, FSH_PASSWORD: PASSWORD } });
  assertEquals([byVariable.code, byVariable.out], [0, "hello\n"], byVariable.err);
  const byFile = await fsh(["ls", "--password-file", file, url], { env: { ...NOTHING, FSH_PASSWORD: "wrong" } });
  assertEquals([byFile.code, byFile.out], [0, "hello\n"], byFile.err);
  const text = new TextDecoder("latin1").decode(Uint8Array.from(seen));
  assertStringIncludes(text, "scram-sha-256");
  assertEquals(text.includes(PASSWORD), false);
});

Deno.test("exit status 4: a wrong password, and one that is missing", async () => {
  await using server = await serving();
  const wrong = await fsh(["ls", server.url("an")], { env: { ...NOTHING, FSH_PASSWORD: "wrong" } });
  assertEquals(wrong.code, 4);
  assertMatch(wrong.err, /authentication failed .*says the server/);
  const none = await fsh(["ls", server.url("an")], { env: NOTHING });
  assertEquals(none.code, 4);
  assertMatch(none.err, /asks for publickey or scram-sha-256.*FSH_PASSWORD/);
  const nobody = await fsh(["ls", server.url("")], { env: { ...NOTHING, FSH_PASSWORD: PASSWORD } });
  assertEquals(nobody.code, 4);
  assertMatch(nobody.err, /fsh:\/\/USER@host/);
});

Deno.test("a token comes from the environment or a file", async () => {
  await using server = await serving();
  await using folder = await scratch();
  const file = `${folder.path}/token`;
  await Deno.writeTextFile(file, TOKEN, { mode: 0o600 });
  assertEquals((await fsh(["ls", server.url("")], { env: { ...NOTHING, FSH_TOKEN: TOKEN } })).code, 0);
  assertEquals((await fsh(["ls", "--token-file", file, server.url("")], { env: NOTHING })).code, 0);
});

Deno.test("exit status 2: secrets in files that others can read, that are empty, or are none", async () => {
  await using folder = await scratch();
  const file = `${folder.path}/secret`;
  await Deno.writeTextFile(file, "secret", { mode: 0o644 });
  await Deno.chmod(file, 0o644);
  for (const option of ["--password-file", "--token-file", "--identity"]) {
    const open = await fsh(["ls", option, file, "fsh://an@127.0.0.1:1/"], { env: NOTHING });
    assertEquals(open.code, 2, open.err);
    assertMatch(open.err, /secret: .*others can get at it \(mode 0644\).*chmod 600/);
    const missing = await fsh(["ls", option, `${folder.path}/none`, "fsh://an@127.0.0.1:1/"], { env: NOTHING });
    assertEquals(missing.code, 5, missing.err);
  }
  await Deno.chmod(file, 0o600);
  const noKey = await fsh(["ls", "--identity", file, "fsh://an@127.0.0.1:1/"], { env: NOTHING });
  assertEquals(noKey.code, 2);
  assertMatch(noKey.err, /no private key/);
  const nobody = await fsh(["ls", "--password-file", file, "fsh://127.0.0.1:1/"], { env: NOTHING });
  assertEquals(nobody.code, 2);
  await Deno.writeTextFile(file, "\n");
  assertEquals((await fsh(["ls", "--token-file", file, "fsh://127.0.0.1:1/"], { env: NOTHING })).code, 2);
  assertEquals((await fsh(["ls", "--token-file", folder.path, "fsh://127.0.0.1:1/"], { env: NOTHING })).code, 2);
});

Deno.test("fsh keygen makes a pair that logs in, shows its fingerprint, and never replaces a file", async () => {
  await using folder = await scratch();
  const file = `${folder.path}/key`;
  const made = await fsh(["keygen", "--comment", "me at home", file]);
  assertEquals(made.code, 0, made.err);
  assertEquals(names(folder.path), ["key", "key.pub"]);
  assertEquals((await Deno.stat(file)).mode ?? 0, 0o100000 | 0o600);
  const open = PublicKey.parse(await Deno.readTextFile(`${file}.pub`));
  assertEquals(open.comment, "me at home");
  assertStringIncludes(made.out, open.fingerprint);
  const before = await Deno.readTextFile(file);
  const again = await fsh(["keygen", file]);
  assertEquals(again.code, 1);
  assertMatch(again.err, /key: exists already/);
  await Deno.remove(file);
  assertEquals((await fsh(["keygen", file])).code, 1, "the public one is still there");
  assertEquals(names(folder.path), ["key.pub"]);
  await Deno.writeTextFile(file, before, { mode: 0o600 });

  await using server = await serving({ key: await PrivateKey.parse(before) });
  assertEquals((await fsh(["ls", "--identity", file, server.url("an")], { env: NOTHING })).code, 0);
  assertEquals((await fsh(["ls", server.url("an")], { env: { ...NOTHING, FSH_IDENTITY: file } })).code, 0);
  assertEquals((await fsh(["ls", "--identity", file, server.url("bo")], { env: NOTHING })).code, 4);
});

Deno.test("a key that ssh-keygen made serves as well", { ignore: !hasProgram("ssh-keygen") }, async () => {
  await using folder = await scratch();
  const file = `${folder.path}/id`;
  const args = ["-q", "-t", "ed25519", "-N", "", "-f", file];
  assertEquals((await new Deno.Command("ssh-keygen", { args, stdin: "null" }).output()).success, true);
  const key = await PrivateKey.parse(await Deno.readTextFile(file));
  await using server = await serving({ key });
  const { code, err } = await fsh(["ls", "--identity", file, server.url("an")], { env: NOTHING });
  assertEquals(code, 0, err);
});

Deno.test("fsh keygen without a file writes to the user's configuration, which only he can enter", async () => {
  await using folder = await scratch();
  const env = { HOME: folder.path, XDG_CONFIG_HOME: "" };
  assertEquals((await fsh(["keygen"], { env })).code, 0);
  assertEquals(names(`${folder.path}/.config/fsh`), ["id_ed25519", "id_ed25519.pub"]);
  assertEquals(((await Deno.stat(`${folder.path}/.config/fsh`)).mode ?? 0) & 0o777, 0o700);
  const elsewhere = await fsh(["keygen"], { env: { ...env, XDG_CONFIG_HOME: `${folder.path}/xdg` } });
  assertEquals(elsewhere.code, 0);
  assertEquals(names(`${folder.path}/xdg/fsh`), ["id_ed25519", "id_ed25519.pub"]);
});

/** Runs fsh on a terminal and types there when it asks for a password. */
function onTerminal(args: readonly string[], typed: string): Promise<{ code: number; shown: string }> {
  return runOnTerminal([FSH, ...args], { after: "Password of", typed });
}

const terminal = { ignore: Deno.build.os !== "linux" || !hasProgram("script") };

Deno.test(
  "a password is asked for on the terminal, once for several connections, and is not shown",
  terminal,
  async () => {
    await using server = await serving();
    await using folder = await scratch();
    for (const name of ["a", "b", "c"]) await Deno.writeTextFile(`${folder.path}/${name}`, name);
    const url = server.url("an");
    const files = ["a", "b", "c"].map((name) => `${folder.path}/${name}`);
    const { code, shown } = await onTerminal(["put", "--jobs", "3", ...files, url], PASSWORD + "x\x7f\r");
    assertEquals(code, 0, shown);
    assertEquals(shown.match(/Password of an@127\.0\.0\.1/g)?.length, 1);
    assertEquals(shown.includes(PASSWORD), false);
    assertMatch(shown, / echo /, "the terminal is as it was");
    assertEquals(server.offers.length, 3, "the first connection has left without trying");
  },
);

Deno.test("Ctrl-C at the prompt ends it, and the terminal is as it was", terminal, async () => {
  await using server = await serving();
  const { code, shown } = await onTerminal(["ls", server.url("an")], "half\x03");
  assertEquals(code, 130, shown);
  assertMatch(shown, / echo /);
  assertEquals(server.offers, []);
});

Deno.test("nobody is asked where the server lets everybody in, or where no user is named", terminal, async () => {
  await using open = await serving({ methods: ["anonymous"] });
  const refused = await onTerminal(["ls", open.url("an")], "");
  assertEquals(refused.shown.includes("Password of"), false);
  await using closed = await serving();
  const unnamed = await onTerminal(["ls", closed.url("")], "");
  assertEquals([unnamed.code, unnamed.shown.includes("Password of")], [4, false]);
});
