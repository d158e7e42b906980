import { assert, assertEquals, assertMatch } from "@std/assert";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { PrivateKey } from "../../../lib/base/private_key.ts";
import { makeVerifier, ScramServer } from "../../../lib/base/scram.ts";
import { parseVerifier } from "../../../lib/base/scram_verifier.ts";
import { Applicant, type Credentials } from "../../../lib/session/credentials.ts";
import { isSecure } from "../../../lib/session/secure.ts";
import { assertFails, assertThrowsError } from "../../support/named_errors.ts";

const key = PrivateKey.generate();
const password = () => Promise.resolve("pencil");
const ALL = ["anonymous", "password", "token", "scram-sha-256", "publickey"];

function applicant(credentials: Credentials, secure = true): Applicant {
  return new Applicant(credentials, { secure, hellos: () => new Uint8Array(32) });
}

const picks: readonly [what: string, methods: readonly string[], credentials: Credentials, method: string][] = [
  ["a key first of all", ALL, { user: "an", key, password, token: "t" }, "publickey"],
  ["a password next, unseen", ALL, { user: "an", password, token: "t" }, "scram-sha-256"],
  ["a token", ALL, { user: "an", token: "t" }, "token"],
  ["a token where a password has no user", ALL, { user: "", password, token: "t" }, "token"],
  ["a plain password if nothing else is there", ["anonymous", "password"], { user: "an", password }, "password"],
  ["nobody without credentials", ALL, { user: "an" }, "anonymous"],
  ["nobody where a password would have to be asked for", ["anonymous"], {
    user: "an",
    password,
    passwordOnDemand: true,
  }, "anonymous"],
  ["a password that has to be asked for", ["anonymous", "scram-sha-256"], {
    user: "an",
    password,
    passwordOnDemand: true,
  }, "scram-sha-256"],
];
for (const [what, methods, credentials, method] of picks) {
  Deno.test(`a client shows ${what}`, async () => {
    assertEquals((await applicant(credentials).begin(methods)).method, method);
  });
}

const lacks: readonly [methods: readonly string[], credentials: Credentials, secure: boolean, words: RegExp][] = [
  [["scram-sha-256", "token"], { user: "" }, true, /scram-sha-256 or token; name the user.*FSH_PASSWORD.*FSH_TOKEN/],
  [["scram-sha-256"], { user: "an" }, false, /asks for scram-sha-256; set FSH_PASSWORD\)/],
  [["publickey"], { user: "an", password }, true, /asks for publickey; name a key file by --identity/],
  [["token"], { user: "", token: "t" }, false, /TLS or within one machine/],
  [["password"], { user: "an", password }, false, /TLS or within one machine/],
  [["anonymous"], { user: "an", password }, true, /knows no users/],
  [["anonymous"], { user: "", token: "t" }, true, /knows no users/],
  [["kerberos"], { user: "an", password }, true, /asks for kerberos; this version knows nothing of that/],
  [[], { user: "an" }, true, /lets nobody in/],
];
for (const [methods, credentials, secure, words] of lacks) {
  Deno.test(`what is missing is said: ${methods.join(", ") || "nothing"} offered, ${words.source}`, () => {
    const error = assertThrowsError(() => applicant(credentials, secure).begin(methods), "AUTH_FAILED");
    assertMatch(error.message, words);
    assertEquals(error.exit, 4);
  });
}

Deno.test("a server that says READY without proof that it knows the password is not believed", async () => {
  const client = applicant({ user: "an", password });
  await client.begin(["scram-sha-256"]);
  assertMatch(assertThrowsError(() => client.welcome(), "AUTH_FAILED").message, /could not prove/);
});

/** The server's half by hand; `verifier` decides whether it knows the password. */
async function untilFinal(client: Applicant, verifier: string): Promise<string> {
  const { data } = await client.begin(["scram-sha-256"]);
  const server = new ScramServer(new TextDecoder().decode(data));
  const answer = await client.challenge(encodeUtf8(server.first(parseVerifier(verifier))));
  assertThrowsError(() => client.welcome(), "AUTH_FAILED");
  return server.final(new TextDecoder().decode(answer?.data)) ?? "v=" + btoa("x".repeat(32));
}

Deno.test("a server that knows the password is believed, one that guesses is not", async () => {
  const client = applicant({ user: "an", password });
  const final = await untilFinal(client, await makeVerifier("pencil", { iterations: 4096 }));
  assertEquals(await client.challenge(encodeUtf8(final)), null);
  client.welcome();
  const fooled = applicant({ user: "an", password });
  const guess = await untilFinal(fooled, await makeVerifier("pencils", { iterations: 4096 }));
  assertThrowsError(() => fooled.challenge(encodeUtf8(guess)), "AUTH_FAILED");
  assertThrowsError(() => fooled.welcome(), "AUTH_FAILED");
});

Deno.test("challenges that were not asked for, of the wrong size, or one too many are refused", () => {
  const anonymous = applicant({ user: "" });
  anonymous.begin(ALL);
  assertThrowsError(() => anonymous.challenge(new Uint8Array(32)), "UNSUPPORTED");
  for (const length of [0, 31, 33, 4096]) {
    const client = applicant({ user: "an", key });
    client.begin(ALL);
    assertThrowsError(() => client.welcome(), "UNEXPECTED_FRAME");
    assertThrowsError(() => client.challenge(new Uint8Array(length)), "BAD_FIELD");
  }
  const client = applicant({ user: "an", key });
  client.begin(ALL);
  assert(client.challenge(new Uint8Array(32)));
  assertThrowsError(() => client.challenge(new Uint8Array(32)), "UNSUPPORTED");
});

Deno.test("a server is not asked before a password is at hand", async () => {
  const leaving = new Error("to ask for it");
  const client = applicant({ user: "an", password: () => Promise.reject(leaving), passwordOnDemand: true });
  let thrown: unknown;
  await Promise.resolve(client.begin(["scram-sha-256"])).catch((error) => thrown = error);
  assertEquals(thrown, leaving);
});

Deno.test("a name that nobody can have is refused before anything is sent", async () => {
  const client = applicant({ user: "a\u0007", password });
  await assertFails(async () => await client.begin(["scram-sha-256"]), "AUTH_FAILED");
});

Deno.test("loopback is secure, and so is what says so of itself; nothing else", () => {
  const secure = ["127.0.0.1:5", "127.8.9.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"];
  const open = ["10.0.0.1:5", "[::2]:5", "[fe80::1]:5", "128.0.0.1:5", "1.127.0.0:1", "[::ffff:10.0.0.1]:5", "", "::1"];
  assertEquals(secure.filter((remote) => !isSecure({ remote })), []);
  assertEquals(open.filter((remote) => isSecure({ remote })), []);
  assertEquals(isSecure({ remote: "10.0.0.1:5", secure: true }), true);
  assertEquals(isSecure({ remote: "127.0.0.1:5", secure: false }), false);
});
