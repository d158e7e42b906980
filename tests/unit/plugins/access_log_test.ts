import { statfsSync } from "node:fs";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createAccessLog } from "../../../plugins/access_log/access_log.ts";
import { LogFile } from "../../../plugins/access_log/log_file.ts";
import {
  failure,
  hookEvent,
  type LogLine,
  recordingLog,
  startPlugin,
  temporaryFolder,
} from "../../support/hook_events.ts";
import { SmallDisk } from "../../support/small_disk.ts";

const TIME = "2031-01-31T09:05:00.250Z";

function got(path: string, facts: { user?: string; bytes?: number } = {}) {
  const { user, bytes = 2326 } = facts;
  return hookEvent("completed", {
    time: TIME,
    command: "get",
    path,
    target: undefined,
    size: bytes,
    bytes,
    seconds: 0.0125,
    digest: undefined,
    ...(user === undefined ? {} : { user }),
  });
}

const refusedLogin = hookEvent("failed", {
  time: TIME,
  user: "back up\n\u001b[31m",
  method: "password",
  target: undefined,
  size: undefined,
  bytes: undefined,
  seconds: 0.3,
  error: { name: "AUTH_FAILED", code: 81, message: "authentication failed" },
});

const refusedConnection = hookEvent("failed", {
  time: TIME,
  session: { id: "" },
  target: undefined,
  size: undefined,
  bytes: undefined,
  seconds: 0,
  error: { name: "NOT_PERMITTED", code: 80, message: "permission denied" },
});

const notFound = hookEvent("failed", {
  time: TIME,
  command: "move",
  path: '/a "b"\\\r\n',
  target: "/c\u202e\u2028",
  size: undefined,
  bytes: undefined,
  seconds: 0,
  error: { name: "NOT_FOUND", code: 100, message: "/a: not found" },
});

const gone = hookEvent("disconnect", {
  time: TIME,
  how: "timeout",
  bytes: 10,
  seconds: 90,
  error: { name: "PEER_TIMEOUT", code: 57, message: "no sign of life" },
});

Deno.test("access-log: lines as web servers have them", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/access.log`;
  {
    await using it = await startPlugin(createAccessLog(), { file });
    const events = [got("/a b.txt", { user: "backup" }), refusedLogin, notFound, gone, refusedConnection];
    for (const event of events) await it.call(event);
  }
  assertEquals((await Deno.readTextFile(file)).split("\n"), [
    '192.0.2.7 - backup [31/Jan/2031:09:05:00 +0000] "GET /a b.txt FSH/1" 200 2326 0.013 - s1',
    '192.0.2.7 - back\\u0020up\\n\\x1b\\u005b31m [31/Jan/2031:09:05:00 +0000] "AUTH password FSH/1" 401 0 0.300 AUTH_FAILED s1',
    '192.0.2.7 - - [31/Jan/2031:09:05:00 +0000] "MOVE /a \\"b\\"\\\\\\r\\n /c\\u202e\\u2028 FSH/1" 404 0 0.000 NOT_FOUND s1',
    '192.0.2.7 - - [31/Jan/2031:09:05:00 +0000] "DISCONNECT timeout FSH/1" 499 10 90.000 PEER_TIMEOUT s1',
    '192.0.2.7 - - [31/Jan/2031:09:05:00 +0000] "CONNECT FSH/1" 403 0 0.000 NOT_PERMITTED -',
    "",
  ]);
});

Deno.test("access-log: one JSON object per line, whatever names hold", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/access.log`;
  {
    await using it = await startPlugin(createAccessLog(), { file, format: "json" });
    for (const event of [got("/a", { user: "backup" }), refusedLogin, notFound, gone]) await it.call(event);
  }
  const text = await Deno.readTextFile(file);
  // deno-lint-ignore no-control-regex
  assert(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/.test(text), text);
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ event }) => event), ["completed", "failed", "failed", "disconnect"]);
  assertEquals(lines[0], {
    time: TIME,
    event: "completed",
    session: "s1",
    address: "192.0.2.7",
    user: "backup",
    command: "get",
    path: "/a",
    bytes: 2326,
    seconds: 0.0125,
  });
  assertEquals([lines[2].path, lines[2].target], ['/a "b"\\\r\n', "/c\u202e\u2028"]);
});

Deno.test("access-log: facts that nobody named don't get in, passwords and tokens least of all", async () => {
  await using folder = await temporaryFolder();
  for (const format of ["json", "common"]) {
    const file = `${folder.path}/${format}`;
    {
      await using it = await startPlugin(createAccessLog(), { file, format });
      await it.call(
        { ...refusedLogin, password: "open sesame", token: "fsh_secret", key: "ssh-ed25519 AAAA" } as never,
      );
    }
    assertEquals((await Deno.readTextFile(file)).match(/sesame|fsh_|ssh-/g), null);
  }
});

Deno.test("access-log: files are put aside at their size, so many are kept, and no line is lost or cut", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/access.log`;
  {
    await using it = await startPlugin(createAccessLog(), { file, "rotate-size": "1K", keep: 3, format: "json" });
    for (let i = 0; i < 60; i++) await it.call(got(`/${i}`));
    await Promise.all(Array.from({ length: 20 }, (_, i) => it.call(got(`/${60 + i}`))));
  }
  const names = Array.from(Deno.readDirSync(folder.path), ({ name }) => name).sort();
  assertEquals(names, ["access.log", "access.log.1", "access.log.2", "access.log.3"]);
  const paths: string[] = [];
  for (const name of [...names.slice(1).reverse(), "access.log"]) {
    const text = await Deno.readTextFile(`${folder.path}/${name}`);
    assert(text.length <= 1024 && text.length > 0, `${name}: ${text.length}`);
    for (const line of text.trimEnd().split("\n")) paths.push(JSON.parse(line).path);
  }
  // What is left are the latest, without a gap.
  assertEquals(paths, Array.from({ length: paths.length }, (_, i) => `/${80 - paths.length + i}`));
  assert(paths.length >= 15, String(paths.length));
});

Deno.test("access-log: keep=0 keeps none", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/access.log`;
  {
    await using it = await startPlugin(createAccessLog(), { file, "rotate-size": "200", keep: 0 });
    for (let i = 0; i < 10; i++) await it.call(got(`/${i}`));
  }
  assertEquals(Array.from(Deno.readDirSync(folder.path), ({ name }) => name), ["access.log"]);
  assertMatch(await Deno.readTextFile(file), /GET \/9 /);
});

Deno.test("access-log: a file that was moved away is made anew", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/access.log`;
  let now = 0;
  const file = new LogFile(path, { rotateSize: undefined, keep: 1, log: recordingLog([]), now: () => now });
  await file.open();
  await file.write("one");
  await Deno.rename(path, `${path}.old`);
  await file.write("two");
  now = 1_001;
  await file.write("three");
  await file.close();
  assertEquals(await Deno.readTextFile(`${path}.old`), "one\ntwo\n");
  assertEquals(await Deno.readTextFile(path), "three\n");
});

Deno.test("access-log: a folder that vanished costs lines and one complaint, and is found again", async () => {
  await using folder = await temporaryFolder();
  const inner = `${folder.path}/logs`;
  await Deno.mkdir(inner);
  const lines: LogLine[] = [];
  let now = 0;
  const options = { rotateSize: undefined, keep: 1, log: recordingLog(lines), now: () => now };
  const file = new LogFile(`${inner}/access.log`, options);
  await file.open();
  await Deno.remove(inner, { recursive: true });
  for (let i = 0; i < 5; i++) {
    now += 2_000;
    await file.write(`lost ${i}`);
  }
  assertEquals(lines.map(({ message }) => message), ["access log not written; lines are lost"]);
  await Deno.mkdir(inner);
  now += 2_000;
  await file.write("back");
  await file.close();
  assertEquals(lines.at(-1)?.fields.lost, 5);
  assertEquals(await Deno.readTextFile(`${inner}/access.log`), "back\n");
});

Deno.test({
  name: "access-log: a full disk costs lines and one complaint",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const lines: LogLine[] = [];
    const file = new LogFile("/dev/full", { rotateSize: undefined, keep: 1, log: recordingLog(lines) });
    await file.open();
    for (let i = 0; i < 3; i++) await file.write("line");
    await file.close();
    assertEquals(lines.map(({ level }) => level), ["error"]);
    assertStringIncludes(String(lines[0]?.fields.error), "No space left");
  },
});

Deno.test({
  name: "access-log: a line that was cut by a full disk does not spoil the next one",
  ignore: !SmallDisk.available(),
  async fn() {
    await using disk = await SmallDisk.create();
    const block = statfsSync(disk.path).bsize;
    const lines: LogLine[] = [];
    const file = new LogFile(`${disk.path}/access.log`, { rotateSize: undefined, keep: 1, log: recordingLog(lines) });
    await file.open();
    const filler = `${disk.path}/filler`;
    await Deno.writeFile(filler, new Uint8Array((disk.free().blocks - 1) * block));
    await file.write("x".repeat(block + 100));
    await Deno.remove(filler);
    await file.write("whole");
    await file.close();
    const written = (await Deno.readTextFile(`${disk.path}/access.log`)).split("\n");
    assertEquals([written.length, written[0]?.length, written[1]], [3, block, "whole"]);
    assertEquals(lines.map(({ level, fields }) => [level, fields.lost]), [["error", 1], ["warn", 1]]);
  },
});

Deno.test("access-log: wrong options are an error at the start", async () => {
  await using folder = await temporaryFolder();
  const missing = `${folder.path}/none/access.log`;
  assertStringIncludes(await failure(() => startPlugin(createAccessLog(), { file: missing })), `${missing}: not found`);
  const file = `${folder.path}/a`;
  assertStringIncludes(await failure(() => startPlugin(createAccessLog(), { file, "rotate-size": "big" })), "a size");
  assertStringIncludes(await failure(() => startPlugin(createAccessLog(), { file, keep: 1.5 })), "a whole number");
});
