import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { checkPassword, makeVerifier, ScramClient, ScramServer } from "../../../lib/base/scram.ts";
import { fakeVerifier, formatVerifier, keysOf, parseVerifier, saltPassword } from "../../../lib/base/scram_verifier.ts";
import { assertFails, assertThrowsError } from "../../support/named_errors.ts";

/** The example of RFC 7677, section 3. */
const RFC = {
  nonce: "rOprNGfwEbeRWgbNEkqO",
  serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
  clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  serverFirst: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  clientFinal:
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

const salting = (password: string) => (options: { salt: Uint8Array; iterations: number }) =>
  saltPassword(password, options);

async function rfcVerifier(password = "pencil") {
  const salt = Uint8Array.from(atob(RFC.salt), (character) => character.charCodeAt(0));
  return { iterations: 4096, salt, ...keysOf(await saltPassword(password, { salt, iterations: 4096 })) };
}

function rfcClient(password = "pencil") {
  return ScramClient.start("user", { salt: salting(password), nonce: RFC.nonce });
}

Deno.test("both sides say what RFC 7677 has in its example", async () => {
  const client = await rfcClient();
  assertEquals(client.first(), RFC.clientFirst);
  const server = new ScramServer(RFC.clientFirst, { nonce: RFC.serverNonce });
  assertEquals(server.user, "user");
  assertEquals(server.first(await rfcVerifier()), RFC.serverFirst);
  assertEquals(await client.final(RFC.serverFirst), RFC.clientFinal);
  assertEquals(server.final(RFC.clientFinal), RFC.serverFinal);
  client.verify(RFC.serverFinal);
});

Deno.test("a wrong password proves nothing, and a server that guesses is found out", async () => {
  const server = new ScramServer(RFC.clientFirst, { nonce: RFC.serverNonce });
  server.first(await rfcVerifier());
  assertEquals(server.final(await (await rfcClient("pencils")).final(RFC.serverFirst)), null);
  const client = await rfcClient("pencils");
  await client.final(RFC.serverFirst);
  const error = assertThrowsError(() => client.verify(RFC.serverFinal), "AUTH_FAILED");
  assertMatch(error.message, /could not prove that it knows the password/);
});

Deno.test("a verifier reads as PostgreSQL writes it, and knows its password only", async () => {
  const text = await makeVerifier("pässword", { iterations: 4096 });
  assertMatch(text, /^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/);
  assertEquals(formatVerifier(parseVerifier(text)), text);
  assertEquals(await checkPassword(text, "pässword"), true);
  assertEquals(await checkPassword(text, "pa\u0308ssword"), true, "the same letter, written in two parts");
  assertEquals(await checkPassword(text, "password"), false);
  assertEquals(await checkPassword(text, ""), false);
  assertEquals(await checkPassword(text, "\u0007"), false);
  assertNotEquals(await makeVerifier("pässword", { iterations: 4096 }), text, "the salt is another each time");
});

Deno.test("new verifiers are slow, and making one does not hold the program up", async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const text = await makeVerifier("x");
  clearInterval(timer);
  assertMatch(text, /^SCRAM-SHA-256\$600000:/);
  assert(ticks >= 5, `${ticks} ticks`);
});

Deno.test("passwords that nobody can type are refused, emoji are not", async () => {
  for (const password of ["", "a\u0000b", "\u00ad"]) {
    await assertFails(() => makeVerifier(password, { iterations: 4096 }), "AUTH_FAILED");
  }
  assertEquals(await checkPassword(await makeVerifier("🔑🫠", { iterations: 4096 }), "🔑🫠"), true);
});

Deno.test("what is no verifier is refused without being repeated", () => {
  const good = "SCRAM-SHA-256$4096:" + RFC.salt + "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" +
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
  parseVerifier(good);
  const bad = [
    "",
    "secret",
    good.replace("256", "1"),
    good.replace("4096", "4095"),
    good.replace("4096", "10000001"),
    good.replace("WG5d", "WG5"),
    good.replace(RFC.salt, ""),
    good.replace("WG5d", "WG!d"),
    good + "\n",
    good + ":",
  ];
  for (const text of bad) {
    const error = assertThrowsError(() => parseVerifier(text), "AUTH_FAILED");
    assertEquals(error.message.includes("WG5"), false);
  }
});

Deno.test("users who do not exist look like those who do, the same each time and each another", () => {
  const once = fakeVerifier("nobody");
  assertEquals(fakeVerifier("nobody"), once);
  assertEquals([once.iterations, once.salt.length], [600_000, 16]);
  assertNotEquals(fakeVerifier("noone").salt, once.salt);
});

const wrongFirsts: readonly [what: string, message: string][] = [
  ["nothing", ""],
  ["channel binding", "p=tls-unique,,n=user,r=abc"],
  ["another identity", "n,a=admin,n=user,r=abc"],
  ["a mandatory extension", "n,,m=x,n=user,r=abc"],
  ["no nonce", "n,,n=user"],
  ["an empty nonce", "n,,n=user,r="],
  ["a nonce that is not printable", "n,,n=user,r=a\u0001b"],
  ["a nonce without end", "n,,n=user,r=" + "a".repeat(2000)],
  ["an empty name", "n,,n=,r=abc"],
  ["a name that is not escaped", "n,,n=a=b,r=abc"],
  ["the wrong order", "n,,r=abc,n=user"],
];
for (const [what, message] of wrongFirsts) {
  Deno.test(`a client-first-message with ${what} is refused`, () => {
    assertThrowsError(() => new ScramServer(message), "BAD_FIELD");
  });
}

const wrongFinals: readonly [what: string, change: (final: string) => string][] = [
  ["nothing in it", () => ""],
  ["another nonce", (final) => final.replace("hvYD", "hvYE")],
  ["the client's nonce alone", (final) => final.replace("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "")],
  ["another header", (final) => final.replace("biws", "eSws")],
  ["no proof", (final) => final.replace(/,p=.*/, "")],
  ["a proof that is no base64", (final) => final.replace("p=dHz", "p=!Hz")],
  ["a short proof", (final) => final.replace(/p=.*/, "p=AAAA")],
  ["an extension that must be known", (final) => "m=x," + final],
];
for (const [what, change] of wrongFinals) {
  Deno.test(`a client-final-message with ${what} is refused`, async () => {
    const server = new ScramServer(RFC.clientFirst, { nonce: RFC.serverNonce });
    server.first(await rfcVerifier());
    assertThrowsError(() => server.final(change(RFC.clientFinal)), "BAD_FIELD");
  });
}

const wrongChallenges: readonly [
  what: string,
  error: "BAD_FIELD" | "AUTH_FAILED",
  change: (first: string) => string,
][] = [
  ["nothing in it", "BAD_FIELD", () => ""],
  ["an extension that must be known", "BAD_FIELD", (first) => "m=x," + first],
  ["another nonce", "BAD_FIELD", (first) => first.replace("rOpr", "rOps")],
  ["no nonce of the server", "BAD_FIELD", (first) => first.replace("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "")],
  ["no salt", "BAD_FIELD", (first) => first.replace(RFC.salt, "")],
  ["a salt that is no base64", "BAD_FIELD", (first) => first.replace(RFC.salt, "*")],
  ["no number", "BAD_FIELD", (first) => first.replace("4096", "4e9")],
  ["too few iterations", "AUTH_FAILED", (first) => first.replace("4096", "4095")],
  ["too many iterations", "AUTH_FAILED", (first) => first.replace("4096", "10000001")],
];
for (const [what, error, change] of wrongChallenges) {
  Deno.test(`a client does not answer a server-first-message with ${what}`, async () => {
    const client = await rfcClient();
    await assertFails(() => client.final(change(RFC.serverFirst)), error);
  });
}

Deno.test("names with commas and equal signs go through, and are made one way of writing", async () => {
  const client = await ScramClient.start("a=b,c\u2168", { salt: salting("x") });
  assertEquals(client.user, "a=b,cIX");
  assertEquals(new ScramServer(client.first()).user, "a=b,cIX");
  const tricky = await ScramClient.start("=2C", { salt: salting("x") });
  assertEquals(new ScramServer(tricky.first()).user, "=2C");
  await assertFails(() => ScramClient.start("", { salt: salting("x") }), "AUTH_FAILED");
});
