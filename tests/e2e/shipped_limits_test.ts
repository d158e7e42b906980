import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { quicEnds, SCHEME } from "../support/scheme.ts";
import { writeAll } from "../../lib/transport/transport.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { allNames, fill } from "../support/folders.ts";
import { eventually, fsh, names, scratch, ServerProcess } from "../support/program.ts";
import { HELLO, RawPeer } from "../support/raw_peer.ts";
import { Accounts, as, shipped, urlOf } from "../support/shipped.ts";

Deno.test("rate-guard: an address is out after five failed logins, for as long as the ban lasts; an exempt one is not", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const token = await accounts.token("bot");
  await accounts.key("office");
  const stranger = await new Accounts(folder.path).key("stranger");
  await Deno.writeTextFile(accounts.users, '{ "users": {} }');
  await using server = await ServerProcess.start({
    args: [
      "--host",
      "::",
      // QUIC is encrypted.
      ...(SCHEME === "fsh" ? ["--insecure"] : []),
      ...shipped({
        "rate-guard": { ban: "4", delay: "10", exempt: "::1" },
        "auth-token": { file: accounts.tokens },
        "auth-users": { file: accounts.users },
      }),
    ],
  });
  const near = `${SCHEME}://127.0.0.1:${server.port}/`;
  const exempt = `${SCHEME}://[::1]:${server.port}/`;
  const failed = async (url: string) => {
    const { code, err } = await as({ FSH_TOKEN: "fsh_wrong" })("ls", url);
    assertEquals(code, 4);
    assertStringIncludes(err, "these credentials let nobody in");
  };
  const right = (url: string) => as({ FSH_TOKEN: token })("ls", url);
  const several = (count: number, url: string) => Promise.all(Array.from({ length: count }, () => failed(url)));
  await Promise.all([several(7, exempt), several(3, near)]);
  assertEquals((await as({})("ls", near)).code, 4, "who has no credentials guesses none");
  assertEquals((await right(near)).code, 0);
  assertEquals((await as(stranger)("ls", near.replace("//", "//office@"))).code, 4);
  assertEquals((await right(near)).code, 0);
  await failed(near);
  await server.logged(/warn address banned.*address=127\.0\.0\.1.*seconds=4/);
  const begun = performance.now();
  const banned = await right(near);
  assertEquals(banned.code, 4);
  assertMatch(banned.err, /permission denied \(too many attempts from this address; try again in [1-4] s\)/);
  assertEquals((await right(exempt)).code, 0);
  await eventually("the ban to end", 8000, async () => (await right(near)).code === 0);
  assertGreaterOrEqual(performance.now() - begun, 2000);
});

Deno.test("rate-guard counts those, too, who leave before they are told that they guessed wrong", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  await accounts.token("bot");
  await using server = await ServerProcess.start({
    args: shipped({ "rate-guard": { delay: "0" }, "auth-token": { file: accounts.tokens } }),
  });
  const guess = async (number: number) => {
    const connection = await (quicEnds?.transport ?? new TcpTransport()).connect({
      hostname: "127.0.0.1",
      port: server.port,
      timeout: 5000,
    });
    const peer = new RawPeer(connection);
    await writeAll(connection, PREFACE);
    await peer.send("HELLO", 0, { ...HELLO, peer: connection.peerName ?? "" });
    await peer.expect("HELLO");
    await peer.send("AUTH", 0, { method: "token", user: "", data: encodeUtf8(`fsh_guess${number}`) });
    // Right ones are let in at once, so nobody has to wait for the refusal.
    await new Promise((resolve) => setTimeout(resolve, 100));
    connection.abort();
  };
  for (let number = 0; number < 5; number++) await guess(number);
  await server.logged(/warn address banned/, 3000);
});

Deno.test("quota: what grows over it is refused in the middle, announced or not, and nothing of it stays", async () => {
  await using folder = await scratch();
  const accounts = new Accounts(folder.path);
  const key = await accounts.key("office");
  const office = as(key);
  const quota = { file: `${folder.path}/usage.json`, bytes: "3M" };
  const args = shipped({ "auth-users": { file: accounts.users }, quota });
  const server = await ServerProcess.start({ args });
  const url = urlOf(server, "office");
  try {
    await fill(folder.path, { one: new Uint8Array(1 << 20), four: new Uint8Array(4 << 20) });
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      async pull(controller) {
        sent += 65536;
        controller.enqueue(new Uint8Array(65536));
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (sent > 64 << 20) controller.close();
      },
    });
    const grows = await fsh(["put", "-", `${url}grows`], { env: key, stdin: endless });
    assertEquals(grows.code, 4);
    assertMatch(grows.err, /\/grows: permission denied \(quota: 3 MiB of 3 MiB are left, 3\.\d MiB are needed\)/);
    assertLessOrEqual(sent, 40 << 20);
    assertEquals(names(server.folder), [], "no part file either");
    const announced = await office("put", `${folder.path}/four`, url);
    assertEquals([announced.code, names(server.folder)], [4, []]);
    assertStringIncludes(announced.err, "quota: 3 MiB of 3 MiB are left, 4 MiB are needed");

    const parallel = await Promise.all(
      Array.from({ length: 6 }, (_, number) => office("put", `${folder.path}/one`, `${url}p${number}`)),
    );
    assertEquals(parallel.filter(({ code }) => code === 0).length, 3, parallel.map(({ err }) => err).join(""));
    assertEquals(parallel.filter(({ code }) => code === 4).length, 3);
    assertEquals(names(server.folder).length, 3);
    const [kept = ""] = names(server.folder);
    assertEquals((await office("put", `${folder.path}/one`, `${url}${kept}`)).code, 0, "in place of what is there");
    assertEquals((await office("rm", `${url}${kept}`)).code, 0);
    await eventually(
      "room again",
      3000,
      async () => (await office("put", `${folder.path}/one`, `${url}again`)).code === 0,
    );
    assertEquals(await server.stop(), 0);
    await using next = await ServerProcess.start({ args, folder: server.folder });
    const full = await office("put", `${folder.path}/one`, `${urlOf(next, "office")}more`);
    assertEquals(full.code, 4, "also after a restart");
    assertStringIncludes(full.err, "quota: 0 B of 3 MiB are left");
  } finally {
    await server[Symbol.asyncDispose]();
  }
});

Deno.test("quota: a tree gets as much of it as fits, in bytes and in files, and a second one no more", async () => {
  await using folder = await scratch();
  const tree = `${folder.path}/tree`;
  const files: Record<string, Uint8Array> = { "large": new Uint8Array(600_000) };
  for (let number = 0; number < 60; number++) files[`d${number % 4}/${number}`] = new Uint8Array(10_000);
  await fill(tree, files);
  for (const [limit, most] of [[{ bytes: "300000" }, 30], [{ files: "20" }, 20]] as const) {
    const quota = { file: `${folder.path}/usage-${most}.json`, ...limit };
    await using server = await ServerProcess.start({ args: shipped({ quota }) });
    const puts = await Promise.all(
      ["a", "b"].map((name) => fsh(["put", "-r", "--parents", tree, `${server.url}${name}/`])),
    );
    for (const { code, err } of puts) {
      assert(code === 7 || code === 4, `${code} ${err}`);
      assertStringIncludes(err, "quota: ");
    }
    const all = allNames(server.folder);
    const bytes = all.reduce((sum, name) => sum + Deno.statSync(`${server.folder}/${name}`).size, 0);
    assertEquals(all.some((name) => name.includes(".fsh-part")), false);
    if ("bytes" in limit) assert(bytes <= 300_000 && bytes > 200_000, `${bytes} bytes`);
    else assertEquals(all.length, most);
    assertEquals((await fsh(["rm", "-r", `${server.url}a`])).code <= 5, true);
  }
});
