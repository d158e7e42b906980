import { assert, assertEquals, assertMatch } from "@std/assert";
import { FshError } from "../../lib/base/errors.ts";
import { formatJson, formatText, type LogRecord, silentLog } from "../../lib/base/log.ts";
import { PrivateKey } from "../../lib/base/private_key.ts";
import { makeVerifier } from "../../lib/base/scram.ts";
import { Client } from "../../lib/client/client.ts";
import type { HookEvent } from "../../lib/hooks/event.ts";
import { HookRunner } from "../../lib/hooks/runner.ts";

import type { Credentials } from "../../lib/session/handshake.ts";
import { hostsOf, pluginOf } from "../support/hooked_server.ts";
import { assertFails } from "../support/named_errors.ts";
import { eventually } from "../support/program.ts";
import { RecordingTransport } from "../support/recording_transport.ts";
import { RunningServer } from "../support/running_server.ts";
import { sourceOf } from "../support/sources.ts";
import { bytesOf } from "../support/stored_files.ts";

const PASSWORD = "pw-right-7f3a9c";
const WRONG_PASSWORD = "pw-wrong-51be02";
const TOKEN = "tok-right-c09d44";
const WRONG_TOKEN = "tok-wrong-e8817a";
/** Its content is nobody's business either. */
const CONTENT = "content-of-a-file-d41d8c";

/** A server with every kind of decision to make, and what happened on its wire. */
async function walk(): Promise<{ records: readonly LogRecord[]; wire: string; key: PrivateKey; verifier: string }> {
  const [key, verifier] = [PrivateKey.generate(), await makeVerifier(PASSWORD, { iterations: 4096 })];
  const authenticate = ({ method, user, token, key: shown }: HookEvent<"authenticate">) => {
    if (method === "token") return token === TOKEN ? { user: { name: "backup", access: "read" as const } } : undefined;
    if (user?.name !== "an") return undefined;
    if (method === "publickey") return shown === key.publicKey.text ? { user: { name: "an" } } : undefined;
    return { user: { name: "an" }, verifier };
  };
  let welcome = true;
  const rules = pluginOf({
    authenticate,
    connect: () => welcome ? undefined : { allow: false, reason: "not today" },
    authorize: ({ path }) => path === "/secret" ? { allow: false, reason: "that stays here" } : undefined,
    filterPath: ({ path }) => path === "/hidden" ? null : path,
  }, { methods: ["publickey", "scram-sha-256", "token"] });
  const hooks = new HookRunner(await hostsOf([rules], silentLog), silentLog);
  const bounds = { perUser: 1, put: 100, listing: 1 };
  await using running = await RunningServer.start({
    hooks,
    bounds,
    maxSessions: 2,
    level: "trace",
    handshakeTimeout: 5000,
  });
  const recording = new RecordingTransport(running.transport);
  const server = { hostname: "memory", port: running.server.port };
  const enter = (credentials: Credentials) =>
    Client.connect(server, { transport: recording, credentials, limits: { heartbeat: 0 } });
  const byPassword = (text: string) => ({ user: "an", password: () => Promise.resolve(text) });
  const left = (count: number) => eventually("the others to go", 5000, () => running.server.sessionCount === count);

  // At the door.
  for (
    const wrong of [byPassword(WRONG_PASSWORD), { user: "", token: WRONG_TOKEN }, {
      user: "an",
      key: PrivateKey.generate(),
    }]
  ) {
    await assertFails(() => enter(wrong), "AUTH_FAILED");
  }
  welcome = false;
  await assertFails(() => enter(byPassword(PASSWORD)), "NOT_PERMITTED");
  welcome = true;
  await left(0);
  // Inside: allowed, refused by rule, by rights, by a limit, by the storage.
  const an = await enter(byPassword(PASSWORD));
  const put = (client: Client, path: string, size: number) =>
    client.put(path, sourceOf(bytesOf(CONTENT.padEnd(size, "."))), { size });
  await put(an, "/a", 50);
  await put(an, "/b", 50);
  await assertFails(() => put(an, "/secret", 50), "NOT_PERMITTED");
  await assertFails(() => an.stat("/hidden"), "NOT_FOUND");
  await assertFails(() => an.stat("/../x"), "PATH_REJECTED");
  await assertFails(() => put(an, "/large", 101), "PUT_TOO_LARGE");
  await assertFails(async () => {
    for await (const _ of an.list("/"));
  }, "LISTING_TOO_LARGE");
  await assertFails(() => enter({ user: "an", key }), "TOO_MANY_OF_USER");
  await left(1);
  const backup = await enter({ user: "", token: TOKEN });
  await assertFails(() => put(backup, "/c", 50), "NOT_PERMITTED");
  await assertFails(() => enter(byPassword(PASSWORD)), "TOO_MANY_SESSIONS");
  await backup.close();
  an.session.abort(new FshError("INTERRUPTED"));
  await left(0);
  await (await enter({ user: "an", key })).close();
  await left(0);
  await hooks.stop();
  return { records: running.records, wire: recording.text, key, verifier };
}

const { records, wire, key, verifier } = await walk();
const text = records.flatMap((record) => [formatText(record), formatJson(record)]).join("\n");

/** `message: error or reason`, and who, how and where from of each decision. */
function decisions(message: string) {
  return records.filter((record) => record.message === message).map(({ fields }) => {
    assertMatch(String(fields.remote), /^memory:\d+$/, message);
    assertEquals(fields.secure, true, message);
    const { user = null, method = null, error, reason } = fields;
    return [user, method, error ?? reason ?? null];
  });
}

Deno.test("every decision at the door says from where, how, and as far as it was said, who", () => {
  assertEquals(decisions("login refused").map(([user, method]) => [user, method]), [
    ["an", "scram-sha-256"],
    ["", "token"],
    ["an", "publickey"],
    ["an", "publickey"],
  ]);
  assertEquals(decisions("connection refused"), [[null, null, "not today"], [null, null, "TOO_MANY_SESSIONS"]]);
  assertEquals(decisions("session opened"), [
    ["an", "scram-sha-256", null],
    ["backup", "token", null],
    ["an", "publickey", null],
  ]);
});

Deno.test("every decision inside says who, how and from where, and so does the end", () => {
  assertEquals(decisions("refused"), [
    ["an", "scram-sha-256", "that stays here"],
    ["an", "scram-sha-256", null],
    ["backup", "token", "this user may only read"],
  ]);
  assertEquals(decisions("failed"), [
    ["an", "scram-sha-256", "NOT_PERMITTED"],
    ["an", "scram-sha-256", "NOT_FOUND"],
    ["an", "scram-sha-256", "PATH_REJECTED"],
    ["an", "scram-sha-256", "PUT_TOO_LARGE"],
    ["an", "scram-sha-256", "LISTING_TOO_LARGE"],
    ["backup", "token", "NOT_PERMITTED"],
  ]);
  const ends = decisions("session ended").filter(([user]) => user !== null);
  assertEquals(ends, [
    ["backup", "token", null],
    ["an", "scram-sha-256", "CONNECTION_RESET"],
    ["an", "publickey", null],
  ]);
});

Deno.test("no line has a secret: passwords, tokens, keys, verifiers, nonces, proofs, contents, right or wrong ones", () => {
  // What SCRAM says, out of the wire: nonces, salts, proofs, signatures of the server.
  const exchanged = [...wire.matchAll(/[,\b]?\b([rspv])=([A-Za-z0-9+/=]{16,})/g)].map(([, , value]) => value ?? "");
  assert(exchanged.length >= 8, `${exchanged.length} parts of SCRAM messages on the wire`);
  const pem = key.pem.split("\n").filter((line) => line !== "" && !line.startsWith("-"));
  const parts = verifier.split(/[$:,]/).filter((part) => part.length >= 16);
  assert(pem.length > 0 && parts.length >= 2);
  assert(wire.includes(TOKEN) && wire.includes(CONTENT), "the wire was recorded");
  for (const secret of [PASSWORD, WRONG_PASSWORD, TOKEN, WRONG_TOKEN, CONTENT, ...pem, ...parts, ...exchanged]) {
    assert(!text.includes(secret), `the log has ${secret}`);
  }
});
