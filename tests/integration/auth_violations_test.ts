import { assert, assertEquals } from "@std/assert";
import { decodeUtf8, encodeUtf8 } from "../../lib/base/bytes.ts";
import { type ErrorName, errorName } from "../../lib/base/errors.ts";
import { PrivateKey } from "../../lib/base/private_key.ts";
import { ScramClient } from "../../lib/base/scram.ts";
import { saltPassword } from "../../lib/base/scram_verifier.ts";
import { hashHellos, keyProof } from "../../lib/session/key_proof.ts";
import { encodeMessage } from "../../lib/wire/codec.ts";
import { FRAMES } from "../../lib/wire/frames.ts";
import { PREFACE } from "../../lib/wire/preface.ts";
import { accounts, PASSWORD, TOKEN } from "../support/accounts.ts";
import { Random } from "../support/random.ts";
import { rawFrame } from "../support/raw_frame.ts";
import { HELLO, type RawPeer } from "../support/raw_peer.ts";
import { RunningServer } from "../support/running_server.ts";

const key = PrivateKey.generate();
const auth = (method: string, data: string | Uint8Array, user = "an") =>
  encodeMessage("AUTH", 0, { method, user, data: typeof data === "string" ? encodeUtf8(data) : data });

/** A peer that has said HELLO; and the hash of both. */
async function greeted(running: RunningServer): Promise<{ peer: RawPeer; hellos: Uint8Array }> {
  const peer = await running.peer({ shaken: false });
  const own = encodeMessage("HELLO", 0, HELLO);
  await peer.sendBytes(PREFACE);
  await peer.sendBytes(own);
  const { fields } = await peer.expect("HELLO");
  return { peer, hellos: hashHellos(own, encodeMessage("HELLO", 0, fields)) };
}

const single: readonly [what: string, bytes: Uint8Array, error: ErrorName][] = [
  ["a method that nobody knows", auth("kerberos", ""), "AUTH_FAILED"],
  ["a method that is not offered", auth("anonymous", ""), "AUTH_FAILED"],
  ["no method", auth("", ""), "AUTH_FAILED"],
  ["an empty token", auth("token", ""), "AUTH_FAILED"],
  ["an empty password", auth("password", ""), "AUTH_FAILED"],
  ["an empty key", auth("publickey", ""), "BAD_FIELD"],
  ["an RSA key", auth("publickey", "\0\0\0\x07ssh-rsa"), "BAD_FIELD"],
  ["an empty SCRAM message", auth("scram-sha-256", ""), "BAD_FIELD"],
  ["SCRAM for another name", auth("scram-sha-256", "n,,n=bo,r=abc"), "BAD_FIELD"],
  ["SCRAM with an extension that must be known", auth("scram-sha-256", "n,,m=x,n=an,r=abc"), "BAD_FIELD"],
  ["a token that is not UTF-8", auth("token", Uint8Array.of(0xff)), "BAD_UTF8"],
  ["an oversized AUTH", rawFrame({ type: FRAMES.AUTH.code, length: 8193 }), "BAD_LENGTH"],
  ["an AUTH without fields", rawFrame({ type: FRAMES.AUTH.code }), "SHORT_FRAME"],
  ["a server's frame", encodeMessage("CHALLENGE", 0, { data: new Uint8Array(32) }), "WRONG_SENDER"],
  ["READY", encodeMessage("READY", 0, { session: "1", user: "an" }), "WRONG_SENDER"],
  ["a request before anybody is let in", encodeMessage("STAT", 1, { path: "/" }, true), "WRONG_PHASE"],
  ["a second HELLO", encodeMessage("HELLO", 0, HELLO), "WRONG_PHASE"],
];
for (const [what, bytes, error] of single) {
  Deno.test(`in the auth phase ${what} ends the session with ${error}`, async () => {
    const options = await accounts({ key });
    await using running = await RunningServer.start(options);
    const { peer } = await greeted(running);
    await peer.sendBytes(bytes);
    assertEquals((await peer.error()).error, error);
    assertEquals(await peer.rest(), []);
    assertEquals(options.offers, []);
  });
}

Deno.test("AUTH before HELLO is out of place, as is one after READY", async () => {
  await using running = await RunningServer.start(await accounts());
  const early = await running.peer({ shaken: false });
  await early.sendBytes(PREFACE);
  await early.sendBytes(auth("token", TOKEN));
  assertEquals((await early.error()).error, "WRONG_PHASE");
  const { peer } = await greeted(running);
  await peer.sendBytes(auth("token", TOKEN));
  await peer.expect("READY");
  await peer.sendBytes(auth("token", TOKEN));
  assertEquals((await peer.error()).error, "WRONG_PHASE");
});

Deno.test("secrets over a connection that can be read are refused unseen, with what to do instead", async () => {
  const options = await accounts();
  await using running = await RunningServer.start({ ...options, memory: { secure: false } });
  for (const bytes of [auth("token", TOKEN), auth("password", PASSWORD)]) {
    const { peer } = await greeted(running);
    await peer.sendBytes(bytes);
    const { code, detail } = (await peer.expect("ERROR")).fields;
    assertEquals(errorName(code), "AUTH_FAILED");
    assert(/TLS or within one machine/.test(detail), detail);
  }
  assertEquals(options.offers, []);
});

Deno.test("one AUTH at a time, and one attempt per session", async () => {
  await using running = await RunningServer.start(await accounts({ key }));
  const { peer: hasty } = await greeted(running);
  await hasty.sendBytes(auth("token", "wrong"));
  await hasty.sendBytes(auth("token", TOKEN));
  assertEquals((await hasty.error()).error, "UNEXPECTED_FRAME");
  const turns = [
    auth("token", TOKEN),
    auth("publickey", key.sign(new Uint8Array(1)), "bo"),
    auth("scram-sha-256", "c=biws,r=x,p=x"),
  ];
  for (const turn of turns) {
    const { peer } = await greeted(running);
    await peer.sendBytes(auth("publickey", key.publicKey.blob));
    await peer.expect("CHALLENGE");
    await peer.sendBytes(turn);
    assertEquals((await peer.error()).error, "UNEXPECTED_FRAME");
  }
});

Deno.test("whether a key is known is only said to its owner", async () => {
  const options = await accounts({ key });
  await using running = await RunningServer.start(options);
  const said = new Set<string>();
  for (const probed of [key.publicKey, PrivateKey.generate().publicKey]) {
    const { peer } = await greeted(running);
    await peer.sendBytes(auth("publickey", probed.blob));
    assertEquals((await peer.expect("CHALLENGE")).fields.data.length, 32);
    await peer.sendBytes(auth("publickey", new Uint8Array(64)));
    said.add(JSON.stringify((await peer.expect("ERROR")).fields));
  }
  assertEquals(said.size, 1);
  assertEquals(options.offers, [], "nobody was asked");
});

/** Ways in which a signature may be of something else than this session. */
const strayed: readonly [what: string, change: (proof: Parameters<typeof keyProof>[0]) => Partial<typeof proof>][] = [
  ["nothing else", () => ({})],
  ["another challenge", () => ({ challenge: new Uint8Array(32) })],
  ["another user", () => ({ user: "root" })],
  ["another HELLO", () => ({ hellos: new Uint8Array(32) })],
  ["another key", () => ({ key: PrivateKey.generate().publicKey })],
];
for (const [what, change] of strayed) {
  Deno.test(`a signature that is for ${what} lets in ${what === "nothing else" ? "its owner" : "nobody"}`, async () => {
    await using running = await RunningServer.start(await accounts({ key }));
    const { peer, hellos } = await greeted(running);
    await peer.sendBytes(auth("publickey", key.publicKey.blob));
    const { data } = (await peer.expect("CHALLENGE")).fields;
    const facts = { user: "an", key: key.publicKey, challenge: data, hellos };
    await peer.sendBytes(auth("publickey", key.sign(keyProof({ ...facts, ...change(facts) }))));
    if (what === "nothing else") await peer.expect("READY");
    else assertEquals((await peer.error()).error, "AUTH_FAILED");
  });
}

/** SCRAM by hand: each message goes through `change` before it is sent. Answers how it ended. */
async function exchange(running: RunningServer, change: (message: string, step: number) => string): Promise<string> {
  const { peer } = await greeted(running);
  const client = await ScramClient.start("an", { salt: (options) => saltPassword(PASSWORD, options) });
  await peer.sendBytes(auth("scram-sha-256", change(client.first(), 0)));
  const first = await peer.next();
  if (first?.message.name !== "CHALLENGE") return outcome(first?.message);
  try {
    const challenge = decodeUtf8(first.message.fields.data);
    await peer.sendBytes(auth("scram-sha-256", change(await client.final(challenge), 1)));
  } catch {
    // The first message was changed so that its answer makes no sense.
    return "broken off";
  }
  const second = await peer.next();
  return outcome(second?.message.name === "CHALLENGE" ? (await peer.next())?.message : second?.message);
}

function outcome(message: { readonly name: string; readonly fields: object } | undefined): string {
  return message?.name === "ERROR" && "code" in message.fields
    ? errorName(Number(message.fields.code))
    : message?.name ?? "end";
}

const changes: readonly [what: string, ends: string, change: (message: string, step: number) => string][] = [
  ["nothing", "READY", (message) => message],
  ["the nonce at the end", "BAD_FIELD", (message, step) => step === 1 ? message.replace(/r=./, "r=!") : message],
  ["the proof", "AUTH_FAILED", (message, step) => step === 1 ? message.replace(/p=.{8}/, "p=AAAAAAAA") : message],
  ["an extension that must be known", "BAD_FIELD", (message, step) => step === 1 ? `m=x,${message}` : message],
  [
    "an optional extension that was not signed",
    "AUTH_FAILED",
    (message, step) => step === 1 ? message.replace(",p=", ",x=1,p=") : message,
  ],
  ["the header", "BAD_FIELD", (message, step) => step === 1 ? message.replace("biws", "eSws") : message],
];
for (const [what, ends, change] of changes) {
  Deno.test(`a SCRAM exchange in which ${what} was changed ends in ${ends}`, async () => {
    await using running = await RunningServer.start(await accounts());
    assertEquals(await exchange(running, change), ends);
  });
}

Deno.test("SCRAM messages damaged at random never let anybody in, nor confuse the server", async () => {
  const options = await accounts();
  await using running = await RunningServer.start({ ...options, maxSessions: 1000 });
  const ends = new Map<string, number>();
  const damaged = async (seed: number) => {
    const random = new Random(seed);
    const where = random.below(2);
    let whole = true;
    const end = await exchange(running, (message, step) => {
      if (step !== where) return message;
      const changed = damage(random, message);
      whole = changed === message;
      return changed;
    });
    assert(whole || end !== "READY", `seed ${seed} was let in`);
    ends.set(end, (ends.get(end) ?? 0) + 1);
  };
  await Promise.all(Array.from({ length: 300 }, (_, seed) => damaged(seed)));
  const known = ["AUTH_FAILED", "BAD_FIELD", "READY", "broken off"];
  for (const end of ends.keys()) assert(known.includes(end), `${end}`);
  assert((ends.get("BAD_FIELD") ?? 0) > 50, JSON.stringify([...ends]));
});

function damage(random: Random, message: string): string {
  const at = random.below(message.length + 1);
  switch (random.below(4)) {
    case 0:
      return message.slice(0, at) + message.slice(at + 1 + random.below(8));
    case 1:
      return message.slice(0, at) + String.fromCharCode(random.below(0x250)) + message.slice(at);
    case 2:
      return message.slice(0, at) + String.fromCharCode(32 + random.below(95)) + message.slice(at + 1);
    default:
      return message.slice(0, at) + message.slice(random.below(message.length + 1));
  }
}
