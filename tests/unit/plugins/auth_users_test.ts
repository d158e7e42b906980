import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { makeVerifier } from "../../../lib/plugin.ts";
import { createAuthUsers } from "../../../plugins/auth_users.ts";
import { failure, hookEvent, startPlugin, temporaryFolder } from "../../support/hook_events.ts";

const KEY = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"A".repeat(43)}`;
const OTHER_KEY = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"B".repeat(43)}`;

const verifier = await makeVerifier("open sesame", { iterations: 4096 });

function login(method: string, facts: { user?: string; password?: string; key?: string }) {
  const { user, password, key } = facts;
  return hookEvent("authenticate", {
    method,
    password,
    key,
    token: undefined,
    ...(user === undefined ? {} : { user }),
  });
}

async function started(users: Record<string, unknown>) {
  const folder = await temporaryFolder();
  const file = `${folder.path}/users.json`;
  await Deno.writeTextFile(file, JSON.stringify({ users }));
  const plugin = await startPlugin(createAuthUsers(), { file });
  return { file, plugin, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

Deno.test("auth-users: SCRAM is answered with the user's verifier and attributes", async () => {
  await using it = await started({ backup: { verifier, home: "/backup", access: "read", expires: "2999-01-01" } });
  assertEquals(await it.plugin.call(login("scram-sha-256", { user: "backup" })), {
    user: { name: "backup", home: "/backup", access: "read", expires: Date.parse("2999-01-01") },
    verifier,
  });
});

Deno.test("auth-users: a name that is not in the file, or inherited, is no opinion", async () => {
  await using it = await started({ backup: { verifier } });
  for (const user of ["nobody", "", "__proto__", "constructor", "Backup"]) {
    assertEquals(await it.plugin.call(login("scram-sha-256", { user })), undefined);
    assertEquals(await it.plugin.call(login("password", { user, password: "open sesame" })), undefined);
  }
  assertEquals(await it.plugin.call(login("anonymous", {})), undefined);
  assertEquals(await it.plugin.call(login("token", { user: "backup", password: "open sesame" })), undefined);
});

Deno.test("auth-users: a password is checked against the verifier", async () => {
  await using it = await started({ backup: { verifier }, keys: { keys: [KEY] } });
  assertEquals(await it.plugin.call(login("password", { user: "backup", password: "open sesame" })), {
    user: { name: "backup" },
  });
  for (const password of ["", "Open sesame", "open sesame ", "x".repeat(100_000)]) {
    assertEquals(await it.plugin.call(login("password", { user: "backup", password })), { allow: false });
  }
  assertEquals(await it.plugin.call(login("password", { user: "keys", password: "" })), { allow: false });
  assertEquals(await it.plugin.call(login("scram-sha-256", { user: "keys" })), undefined);
});

Deno.test("auth-users: an unknown name takes as long as a wrong password", async () => {
  const slow = await makeVerifier("open sesame");
  await using it = await started({ backup: { verifier: slow }, keys: { keys: [KEY] } });
  const took = async (user: string) => {
    const begun = performance.now();
    await it.plugin.call(login("password", { user, password: "wrong" }));
    return performance.now() - begun;
  };
  const known = await took("backup");
  for (const user of ["nobody", "keys"]) {
    const unknown = await took(user);
    assert(unknown > known / 3, `${unknown} and ${known} ms`);
  }
});

Deno.test("auth-users: many passwords at once are all answered, those given up on with a refusal", async () => {
  await using it = await started({ backup: { verifier } });
  const given = new AbortController();
  const event = login("password", { user: "backup", password: "open sesame" });
  const right = Array.from({ length: 12 }, () => it.plugin.call(event));
  const late = it.plugin.call(event, given.signal);
  given.abort();
  assertEquals(await Promise.all(right), Array.from({ length: 12 }, () => ({ user: { name: "backup" } })));
  assertEquals(await late, { allow: false });
});

Deno.test("auth-users: a key admits the user whose list has it, and only that one", async () => {
  await using it = await started({ one: { keys: [`${KEY} laptop`] }, two: { verifier, keys: [OTHER_KEY] } });
  const of = (user: string | undefined, key: string) =>
    it.plugin.call(login("publickey", { key, ...(user === undefined ? {} : { user }) }));
  assertEquals(await of("one", KEY), { user: { name: "one" } });
  assertEquals(await of("one", `${KEY} another comment`), { user: { name: "one" } });
  assertEquals(await of("two", KEY), undefined);
  assertEquals(await of(undefined, OTHER_KEY), { user: { name: "two" } });
  assertEquals(await of("nobody", KEY), undefined);
  assertEquals(await of("one", "ssh-ed25519 AAAA"), undefined);
  assertEquals(await of("one", ""), undefined);
});

Deno.test("auth-users: who has expired is refused by every method, and told so only after a proof", async () => {
  await using it = await started({ old: { verifier, keys: [KEY], expires: "2020-01-01" } });
  const reason = "this account expired on 2020-01-01";
  assertEquals(await it.plugin.call(login("scram-sha-256", { user: "old" })), { allow: false });
  assertEquals(await it.plugin.call(login("password", { user: "old", password: "wrong" })), { allow: false });
  assertEquals(await it.plugin.call(login("password", { user: "old", password: "open sesame" })), {
    allow: false,
    reason,
  });
  assertEquals(await it.plugin.call(login("publickey", { user: "old", key: KEY })), { allow: false, reason });
});

Deno.test("auth-users: the file is read again when it changed; a broken version leaves the old one", async () => {
  await using it = await started({ backup: { verifier } });
  const known = async (user: string) => await it.plugin.call(login("scram-sha-256", { user })) !== undefined;
  assert(await known("backup"));

  // Of the same length and within the same second.
  await Deno.writeTextFile(it.file, JSON.stringify({ users: { backuq: { verifier } } }));
  assertEquals([await known("backup"), await known("backuq")], [false, true]);

  await Deno.writeTextFile(it.file, '{ "users": { "backup": {');
  assertEquals([await known("backup"), await known("backuq")], [false, true]);
  assertEquals(it.plugin.lines.filter(({ level }) => level === "error").length, 1);
  assertStringIncludes(String(it.plugin.lines.at(-1)?.fields.error), "not JSON");

  await Deno.remove(it.file);
  for (let i = 0; i < 3; i++) assertEquals(await known("backuq"), true);
  assertEquals(it.plugin.lines.filter(({ level }) => level === "error").length, 2);
  await Deno.writeTextFile(it.file, JSON.stringify({ users: {} }));
  assertEquals(await known("backuq"), false);
});

Deno.test("auth-users: a change within the same tick of the file's time stamp is seen", async () => {
  await using it = await started({ user0: { verifier } });
  for (let i = 0; i < 100; i++) {
    const name = `user${i % 10}`;
    await Deno.writeTextFile(it.file, JSON.stringify({ users: { [name]: { verifier } } }));
    assert(await it.plugin.call(login("scram-sha-256", { user: name })) !== undefined, String(i));
  }
});

Deno.test("auth-users: a file that is missing or wrong at the start is a clear error", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/users.json`;
  assertEquals(
    await failure(() => startPlugin(createAuthUsers(), { file })),
    `${file}: not found (make it with: fsh passwd ${file} USER)`,
  );
  const wrong: [unknown, string][] = [
    [{ users: [] }, '"users" must be an object'],
    [{ users: {}, user: {} }, 'the file has a field "user"'],
    [{ users: { a: { acces: "read" } } }, '"a" has a field "acces"'],
    [{ users: { a: { access: "all" } } }, '"access" must be "read" or "write"'],
    [{ users: { a: { verifier: "secret" } } }, '"verifier" is none'],
    [{ users: { a: { home: "../b" } } }, '"home" "../b" is no virtual path'],
    [{ users: { a: { home: "/b/../c" } } }, "is no virtual path"],
    [{ users: { a: { expires: "2026-02-31" } } }, '"expires" must be a date'],
    [{ users: { a: { expires: 5 } } }, '"expires" must be a date'],
    [{ users: { a: { keys: ["ssh-rsa AAAA"] } } }, "a key must read"],
    [{ users: { "a b": {} } }, "without blanks"],
    [{ users: { "": {} } }, "1 to 128 characters"],
  ];
  for (const [content, text] of wrong) {
    await Deno.writeTextFile(file, JSON.stringify(content));
    assertStringIncludes(await failure(() => startPlugin(createAuthUsers(), { file })), text);
  }
});
