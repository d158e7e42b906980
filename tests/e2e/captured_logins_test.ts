import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { parseVerifier, saltPassword } from "../../lib/base/scram_verifier.ts";
import { withDeadline } from "../../lib/base/clock.ts";
import { frameName, HEADER_BYTES } from "../../lib/wire/frames.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { eventually, names, scratch, ServerProcess } from "../support/program.ts";
import { quicEnds } from "../support/scheme.ts";
import { Proxy } from "../support/proxy.ts";
import { joined } from "../support/raw_frame.ts";
import { Accounts, as, NOTHING, shipped } from "../support/shipped.ts";

const PASSWORD = "correct horse battery";

/** What went over the wire, piece by piece, in each direction. */
class Capture {
  readonly client: Uint8Array[] = [];
  readonly server: Uint8Array[] = [];

  readonly change = (piece: Uint8Array, _at: number, towards: "client" | "server") => {
    (towards === "server" ? this.client : this.server).push(piece.slice());
  };

  get text(): string {
    return new TextDecoder("latin1").decode(joined(...this.client, ...this.server));
  }
}

/** None of these, in no way in which bytes are written down. */
function assertLacks(capture: Capture, secrets: Readonly<Record<string, Uint8Array>>): void {
  for (const [what, bytes] of Object.entries(secrets)) {
    const buffer = Buffer.from(bytes);
    for (const encoding of ["latin1", "base64", "base64url", "hex"] as const) {
      const text = buffer.toString(encoding).replace(/=+$/, "");
      assertEquals(capture.text.includes(text), false, `the capture has the ${what} in ${encoding}`);
    }
  }
}

/** Says the same to the server once more; answers the names of the frames that come back. */
async function replay(port: number, bytes: Uint8Array, options: { at: "once" | "their turn" }): Promise<string[]> {
  const connection = await (quicEnds?.dial(port) ?? Deno.connect({ hostname: "127.0.0.1", port }));
  try {
    const frames = [bytes.subarray(0, PREFACE.length), ...framesOf(bytes.subarray(PREFACE.length))];
    let came = new Uint8Array();
    let over = false;
    const reading = (async () => {
      const buffer = new Uint8Array(65536);
      for (;;) {
        const read = await connection.read(buffer).catch(() => null);
        if (read === null) break;
        came = joined(came, buffer.subarray(0, read));
      }
      over = true;
    })();
    for (const frame of frames) {
      const before = came.length;
      await connection.write(frame).catch(() => {});
      // As a client would: what comes next may depend on the answer.
      if (options.at === "their turn") {
        await eventually("an answer", 1000, () => over || came.length > before).catch(() => {});
      }
    }
    await withDeadline(reading, 5000, () => new Error("the server did not end it"));
    return framesOf(came.subarray(PREFACE.length)).map((frame) => frameName(frame[4] ?? 0) ?? "?");
  } finally {
    connection.close();
  }
}

function framesOf(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
    frames.push(bytes.subarray(at, at + HEADER_BYTES + length));
    at += HEADER_BYTES + length;
  }
  return frames;
}

for (const means of ["password", "public key"] as const) {
  Deno.test(`a captured login by ${means} has no secret in it, and does not let anybody in a second time`, async () => {
    await using folder = await scratch();
    const accounts = new Accounts(folder.path);
    const secrets: Record<string, Uint8Array> = {};
    let env: Record<string, string> = { ...NOTHING, FSH_PASSWORD: PASSWORD };
    if (means === "password") {
      await accounts.password("alice", PASSWORD);
      const users = JSON.parse(await Deno.readTextFile(accounts.users)).users;
      const verifier = parseVerifier(users.alice.verifier);
      secrets.password = new TextEncoder().encode(PASSWORD);
      secrets["salted password"] = await saltPassword(PASSWORD, verifier);
      secrets["stored key"] = verifier.storedKey;
      secrets["server key"] = verifier.serverKey;
    } else {
      env = await accounts.key("alice");
      const lines = (await Deno.readTextFile(env.FSH_IDENTITY ?? "")).split("\n").filter((line) => !/^-|^$/.test(line));
      const whole = Buffer.from(lines.join(""), "base64");
      secrets["private key"] = whole.subarray(-32);
      secrets["private key's file"] = whole;
    }
    await using server = await ServerProcess.start({
      args: shipped({ "auth-users": { file: accounts.users } }),
      env: { FSH_LOG: "trace" },
    });
    const capture = new Capture();
    {
      await using proxy = new Proxy(server.port, { change: capture.change });
      const file = `${folder.path}/file.txt`;
      await Deno.writeTextFile(file, "put once");
      const put = await as(env)("put", file, proxy.url.replace("//", "//alice@"));
      assertEquals(put.code, 0, put.err);
    }
    assertEquals(names(server.folder), ["file.txt"]);
    assertStringIncludes(capture.text, "alice");
    assertMatch(capture.text, means === "password" ? /scram-sha-256/ : /publickey/);
    assert(Object.values(secrets).every((secret) => secret.length >= 16));
    assertLacks(capture, secrets);
    for (const [what, secret] of Object.entries(secrets)) {
      const seen = server.log.includes(Buffer.from(secret).toString("base64").replace(/=+$/, ""));
      assertEquals(seen || server.log.includes(new TextDecoder().decode(secret)), false, `the log has the ${what}`);
    }

    await Deno.remove(`${server.folder}/file.txt`);
    const said = joined(...capture.client);
    for (const at of ["their turn", "once"] as const) {
      const before = server.log.match(/login refused|the nonce is not of/g)?.length ?? 0;
      const frames = await replay(server.port, said, { at });
      assertEquals(frames.includes("READY"), false, `${at}: ${frames}`);
      assertEquals(frames.includes("ERROR") || frames.includes("GOAWAY"), true, `${at}: ${frames}`);
      if (at === "their turn") {
        assertEquals(frames.slice(0, 2), ["HELLO", "CHALLENGE"], "it did not get as far as the challenge");
        const refusal = means === "password" ? /the nonce is not of this exchange/g : /login refused/g;
        await eventually("the refusal in the log", 3000, () => (server.log.match(refusal)?.length ?? 0) > before);
      }
    }
    assertEquals(names(server.folder), []);
    // And whoever was captured comes in as before.
    assertEquals((await as(env)("ls", server.url.replace("//", "//alice@"))).code, 0);
  });
}

Deno.test("tokens: added, listed, right, wrong, expired, removed, for a folder and for reading only", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const reader = await accounts.token("reader", ["--home", "/builds", "--access", "read"]);
  const writer = await accounts.token("writer", ["--home", "/builds"]);
  const old = await accounts.token("old", ["--expires", "2020-01-01"]);
  const file = await Deno.readTextFile(accounts.tokens);
  for (const token of [reader, writer, old]) {
    assertMatch(token, /^fsh_[\w-]{43}$/);
    assertEquals(file.includes(token.slice(4)), false);
  }
  await using server = await ServerProcess.start({ args: shipped({ "auth-token": { file: accounts.tokens } }) });
  await Deno.mkdir(`${server.folder}/builds`);
  await Deno.writeTextFile(`${server.folder}/builds/a`, "build");
  await Deno.writeTextFile(`${server.folder}/secret`, "secret");
  const by = (token: string) => as({ FSH_TOKEN: token });
  const got = await by(reader)("get", `${server.url}a`, "-");
  assertEquals([got.code, got.out], [0, "build"], got.err);
  for (const path of ["secret", "../secret", "builds/a"]) {
    const { code, out } = await by(reader)("get", `${server.url}${path}`, "-");
    assert(code === 4 || code === 5, path);
    assertEquals(out, "");
  }
  const local = `${folder.path}/b`;
  await Deno.writeTextFile(local, "new");
  const put = await by(reader)("put", local, server.url);
  assertEquals(put.code, 4);
  assertStringIncludes(put.err, "/b: permission denied (this user may only read)");
  assertEquals((await by(writer)("put", local, server.url)).code, 0);
  assertEquals(names(`${server.folder}/builds`), ["a", "b"]);
  const wrong = await by(`${reader.slice(0, -1)}${reader.endsWith("A") ? "B" : "A"}`)("ls", server.url);
  assertEquals(wrong.code, 4);
  assertStringIncludes(wrong.err, "authentication failed (these credentials let nobody in)");
  const expired = await by(old)("ls", server.url);
  assertEquals(expired.code, 4);
  assertStringIncludes(expired.err, "this token expired on 2020-01-01");
  const none = await by("")("ls", server.url);
  assertEquals(none.code, 4);
  assertStringIncludes(none.err, "the server asks for token; set FSH_TOKEN");

  const token = (...args: string[]) => as({})("token", ...args);
  const again = await token("add", accounts.tokens, "reader");
  assertEquals([again.code, again.out], [1, ""]);
  assertStringIncludes(again.err, "remove it first, or take another name");
  const list = await token("list", accounts.tokens);
  assertEquals(list.out.split("\n").map((line) => line.split(/\s+/).join(" ")), [
    "reader read never /builds",
    "writer write never /builds",
    "old write 2020-01-01 /",
    "",
  ]);
  assertEquals((await token("remove", accounts.tokens, "reader")).code, 0);
  assertEquals((await by(reader)("ls", server.url)).code, 4, "from now on");
  assertEquals((await token("remove", accounts.tokens, "reader")).code, 5);
});

for (const format of ["common", "json"]) {
  Deno.test(`no token and no password in any log, with FSH_LOG=trace and access-log as ${format}`, async () => {
    await using folder = await scratch();
    const accounts = new Accounts(folder.path);
    const token = await accounts.token("nightly");
    const wrong = "fsh_" + "w".repeat(43);
    const lines = `${folder.path}/access.log`;
    await using server = await ServerProcess.start({
      args: shipped({ "auth-token": { file: accounts.tokens }, "access-log": { file: lines, format } }),
      env: { FSH_LOG: "trace" },
    });
    const trace = { FSH_LOG: "trace" };
    const right = await as({ ...trace, FSH_TOKEN: token })("ls", server.url);
    assertEquals(right.code, 0, right.err);
    assertEquals((await as({ ...trace, FSH_TOKEN: wrong })("ls", server.url)).code, 4);
    await eventually("the lines", 5000, () => Deno.readTextFileSync(lines).trim().split("\n").length >= 4);
    assertEquals(await server.stop(), 0);
    const all = [server.log, server.out, right.err, await Deno.readTextFile(lines)];
    assertMatch(server.log, /trace .*AUTH/, "frames are logged");
    for (const text of all) {
      for (const secret of [token, wrong]) {
        for (const form of [secret.slice(4), btoa(secret), Buffer.from(secret).toString("hex")]) {
          assertEquals(text.includes(form), false, text);
        }
      }
    }
  });
}
