import { assert, assertEquals, assertGreaterOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import { PrivateKey } from "../../lib/base/private_key.ts";
import { makeVerifier } from "../../lib/base/scram.ts";
import { Client } from "../../lib/client/client.ts";
import type { Admission } from "../../lib/hooks/event.ts";
import type { Credentials } from "../../lib/session/handshake.ts";
import { readHeader } from "../../lib/wire/codec.ts";
import { HEADER_BYTES } from "../../lib/wire/frames.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { accounts, PASSWORD, TOKEN } from "../support/accounts.ts";
import { assertFails } from "../support/named_errors.ts";
import { RecordingTransport } from "../support/recording_transport.ts";
import { RunningServer } from "../support/running_server.ts";

const password = (text = PASSWORD) => () => Promise.resolve(text);

Deno.test("a password lets in its user", async () => {
  const options = await accounts();
  await using running = await RunningServer.start(options);
  const client = await running.client({ credentials: { user: "an", password: password() } });
  assertEquals(client.session.identity.user.name, "an");
  assertEquals(options.offers, [{ method: "scram-sha-256", user: "an" }]);
  await client.stat("/");
  const opened = running.records.find((record) => record.message === "session opened");
  assertEquals(opened?.fields.user, "an");
});

Deno.test("a key lets in its owner, another key nobody", async () => {
  const key = PrivateKey.generate();
  await using running = await RunningServer.start(await accounts({ key }));
  const client = await running.client({ credentials: { user: "an", key } });
  assertEquals(client.session.identity.user.name, "an");
  const other = { user: "an", key: PrivateKey.generate() };
  await assertFails(() => running.client({ credentials: other }), "AUTH_FAILED");
  await assertFails(() => running.client({ credentials: { user: "bo", key } }), "AUTH_FAILED");
});

Deno.test("a token lets in whom it stands for", async () => {
  const options = await accounts();
  await using running = await RunningServer.start(options);
  const client = await running.client({ credentials: { user: "", token: TOKEN } });
  assertEquals(client.session.identity.user.name, "backup");
  await assertFails(() => running.client({ credentials: { user: "", token: "guess" } }), "AUTH_FAILED");
  await assertFails(() => running.client({ credentials: { user: "", token: "" } }), "AUTH_FAILED");
  assertEquals(options.offers.map((offer) => offer.token), [TOKEN, "guess"], "an empty one is not even shown");
});

Deno.test("where a server knows no SCRAM, a plain password is checked against the verifier", async () => {
  await using running = await RunningServer.start(await accounts({ methods: ["password"] }));
  const client = await running.client({ credentials: { user: "an", password: password() } });
  assertEquals(client.session.identity.user.name, "an");
  await assertFails(() => running.client({ credentials: { user: "an", password: password("wrong") } }), "AUTH_FAILED");
  await assertFails(() => running.client({ credentials: { user: "bo", password: password() } }), "AUTH_FAILED");
});

Deno.test("a wrong password and an unknown user are refused with the same words, after a moment", async () => {
  await using running = await RunningServer.start(await accounts());
  const messages = new Set<string>();
  for (const [user, text] of [["an", "wrong"], ["nobody", PASSWORD]] as const) {
    const begun = performance.now();
    const credentials = { user, password: password(text) };
    const error = await assertFails(() => running.client({ credentials }), "AUTH_FAILED");
    assertGreaterOrEqual(performance.now() - begun, 150);
    assertEquals([error.exit, error.remote], [4, true]);
    messages.add(error.message);
  }
  assertEquals(messages.size, 1);
  await running.quiet();
  assertEquals(running.logged("session ended"), ["AUTH_FAILED", "AUTH_FAILED"]);
});

Deno.test("secrets cross no connection that can be read: neither side lets them", async () => {
  await using running = await RunningServer.start({ ...await accounts(), memory: { secure: false } });
  const token = await assertFails(() => running.client({ credentials: { user: "", token: TOKEN } }), "AUTH_FAILED");
  assertMatch(token.message, /asks for publickey or scram-sha-256 or token or password/);
  const client = await running.client({ credentials: { user: "an", password: password() } });
  assertEquals(client.session.identity.user.name, "an", "SCRAM may");
  await using plain = await RunningServer.start({
    ...await accounts({ methods: ["token", "password"] }),
    memory: { secure: false },
  });
  for (const credentials of [{ user: "an", token: TOKEN }, { user: "an", password: password() }]) {
    const error = await assertFails(() => plain.client({ credentials }), "AUTH_FAILED");
    assertMatch(error.message, /TLS or within one machine only/);
    assertEquals(error.remote, false);
  }
});

/** Logs in while somebody listens; answers what was heard. */
async function overheard(running: RunningServer, credentials: Credentials): Promise<RecordingTransport> {
  const recorder = new RecordingTransport(running.transport);
  const client = await Client.connect({ hostname: "memory", port: running.server.port }, {
    transport: recorder,
    limits: { heartbeat: 0 },
    credentials,
  });
  await client.close();
  return recorder;
}

Deno.test("who overhears a login has neither the password nor anything that logs in again", async () => {
  const key = PrivateKey.generate();
  await using running = await RunningServer.start({ ...await accounts({ key }), memory: { secure: false } });
  const logins: Credentials[] = [{ user: "an", password: password() }, { user: "an", key }];
  for (const credentials of logins) {
    const heard = await overheard(running, credentials);
    assertStringIncludes(heard.text, "an");
    for (const secret of [PASSWORD, btoa(PASSWORD), key.pem.split("\n")[1] ?? ""]) {
      assertEquals(heard.text.includes(secret), false);
    }
    const peer = await running.peer({ shaken: false });
    const [preface, hello, first, second] = framesOf(heard.toServer);
    for (const bytes of [preface, hello]) await peer.sendBytes(bytes ?? new Uint8Array());
    await peer.expect("HELLO");
    await peer.sendBytes(first ?? new Uint8Array());
    await peer.expect("CHALLENGE");
    await peer.sendBytes(second ?? new Uint8Array());
    assertEquals((await peer.error()).error, credentials.key ? "AUTH_FAILED" : "BAD_FIELD");
    assertEquals(await peer.rest(), []);
  }
  assertEquals(running.records.filter((record) => record.message === "session opened").length, logins.length);
});

/** The preface, and each frame behind it. */
function framesOf(bytes: readonly number[]): Uint8Array[] {
  const all = Uint8Array.from(bytes);
  const pieces = [all.subarray(0, PREFACE.length)];
  for (let at = PREFACE.length; at < all.length;) {
    const end = at + HEADER_BYTES + readHeader(all, at).length;
    pieces.push(all.subarray(at, end));
    at = end;
  }
  return pieces;
}

Deno.test("neither password nor token nor what proves them is in the log", async () => {
  await using running = await RunningServer.start(await accounts());
  await running.client({ credentials: { user: "an", password: password() } });
  await running.client({ credentials: { user: "", token: TOKEN } });
  await assertFails(() => running.client({ credentials: { user: "", token: "guess-5" } }), "AUTH_FAILED");
  const log = JSON.stringify(running.records);
  for (const secret of [PASSWORD, TOKEN, "guess-5", "SCRAM-SHA-256$", "p="]) assertEquals(log.includes(secret), false);
});

Deno.test("several sessions with the same credentials pay for the slow part once", async () => {
  const verifier = await makeVerifier(PASSWORD);
  const authenticate = () => ({ user: { name: "an" }, verifier });
  await using running = await RunningServer.start({ methods: ["scram-sha-256"], authenticate });
  const credentials = { user: "an", password: password() };
  const times: number[] = [];
  for (let i = 0; i < 3; i++) {
    const begun = performance.now();
    await running.client({ credentials });
    times.push(performance.now() - begun);
  }
  const [first = 0, ...later] = times;
  assert(later.every((time) => time < first / 3), `${times.map(Math.round)} ms`);
});

Deno.test("with no server option, everybody is let in under the name that he gives, and nothing else is offered", async () => {
  await using running = await RunningServer.start();
  const client = await running.client({ user: "an" });
  assertEquals(client.session.identity.user.name, "an");
  const credentials = { user: "an", password: password() };
  const error = await assertFails(() => running.client({ credentials }), "AUTH_FAILED");
  assertMatch(error.message, /knows no users/);
});

const past = Date.now() - 1;
const refused: readonly [what: string, method: string, admission: Admission, words: RegExp][] = [
  ["a reason is told", "anonymous", { allow: false, reason: "closed on Sundays" }, /closed on Sundays/],
  ["a reason is told before a password is asked for", "scram-sha-256", { allow: false, reason: "closed" }, /closed/],
  ["an account that has expired", "anonymous", { user: { name: "an", expires: past } }, /expired/],
  ["an account that expires at no time at all", "anonymous", { user: { name: "an", expires: NaN } }, /expired/],
  ["SCRAM without a verifier proves nothing", "scram-sha-256", { user: { name: "an" } }, /let nobody in/],
  ["a verifier that nothing was proved against", "anonymous", { user: { name: "an" }, verifier: "x" }, /let nobody in/],
  ["a verifier that is none", "scram-sha-256", { user: { name: "an" }, verifier: "x" }, /let nobody in/],
];
for (const [what, method, admission, words] of refused) {
  Deno.test(`refused: ${what}`, async () => {
    await using running = await RunningServer.start({ methods: [method], authenticate: () => admission });
    const credentials = method === "anonymous" ? { user: "an" } : { user: "an", password: password() };
    const error = await assertFails(() => running.client({ credentials }), "AUTH_FAILED");
    assertMatch(error.message, words);
    const noted = running.records.some((record) => record.message === "a user's verifier can't be read");
    assertEquals(noted, method === "scram-sha-256" && "verifier" in admission);
  });
}

Deno.test("whoever judges hears that the client has gone", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  await using running = await RunningServer.start({
    methods: ["anonymous"],
    authenticate: (_, { signal }) => {
      asked.resolve(signal);
      return new Promise(() => {});
    },
  });
  const connecting = running.client({ timeouts: { handshake: 50 } });
  const signal = await asked.promise;
  await assertFails(() => connecting, "HANDSHAKE_TIMEOUT");
  await running.quiet();
  assertEquals(signal.aborted, true);
});

Deno.test("a judge that fails lets nobody in", async () => {
  await using running = await RunningServer.start({
    methods: ["anonymous"],
    authenticate: () => Promise.reject(new Error("out of order: secret details")),
  });
  const error = await assertFails(() => running.client(), "INTERNAL");
  assertEquals(error.message.includes("secret details"), false);
});
