import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ClientTrust } from "../../../lib/base/client_trust.ts";
import { OwnCertificate } from "../../../lib/base/own_certificate.ts";
import { Handshake, type HandshakeOptions, type HandshakeStep } from "../../../lib/session/handshake.ts";
import { decodeMessage, type MessageOf, readHeader } from "../../../lib/wire/codec.ts";
import { frameName, HEADER_BYTES } from "../../../lib/wire/frames.ts";
import { TestAuthority } from "../../support/certificates.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

type Shaken = MessageOf<"HELLO" | "AUTH" | "CHALLENGE" | "READY">;

const limits = { window: 1_000_000, maxStreams: 64, heartbeat: 0, misses: 3 };
const NAME = "SHA256:server";

const office = await TestAuthority.make();
const clientTrust = await ClientTrust.parse(office.pem);
const anna = OwnCertificate.parse(await office.issue({ names: ["anna"] }));

function server(own: Partial<HandshakeOptions> = {}): Handshake {
  return new Handshake("server", {
    limits,
    agent: "server",
    methods: ["anonymous"],
    clientTrust,
    answersTo: (name) => name === NAME,
    authenticate: ({ user }) => ({ user: { name: user } }),
    ...own,
  });
}

function client(own: Partial<HandshakeOptions> = {}): Handshake {
  const credentials = { user: "somebody", certificate: anna };
  return new Handshake("client", { limits, agent: "client", credentials, peerName: NAME, ...own });
}

function messageOf(frame: Uint8Array): Shaken {
  const { type, crc } = readHeader(frame, 0);
  const name = frameName(type);
  assert(name);
  return decodeMessage({ name, stream: 0, fin: false, crc, payload: frame.subarray(HEADER_BYTES) }) as Shaken;
}

/** Carries frames to and fro until both are content; answers what was said. */
function shake(from: Handshake, to: Handshake): { readonly said: readonly string[]; readonly ready: boolean } {
  const said: string[] = [];
  let [speaker, listener, frames] = [from, to, [from.hello()] as readonly Uint8Array[]];
  let ready = false;
  while (frames.length > 0) {
    const next: Uint8Array[] = [];
    for (const frame of frames) {
      const message = messageOf(frame);
      said.push(message.name);
      const step = listener.receive(message) as HandshakeStep;
      next.push(...step.send);
      ready = step.ready === true;
    }
    [speaker, listener, frames] = [listener, speaker, next];
  }
  return { said, ready };
}

Deno.test("who owns a trusted certificate comes in, under its name", () => {
  const passed: string[] = [];
  const to = server({ certified: ({ name }) => passed.push(name) });
  const { said, ready } = shake(client(), to);
  const steps = ["HELLO", "HELLO", "AUTH", "CHALLENGE", "AUTH", "CHALLENGE", "AUTH", "READY"];
  assertEquals([said, ready, passed], [steps, true, ["anna"]]);
  assertEquals(to.identity.user.name, "anna");
});

Deno.test("without a certificate a client says what it lacks, and does not get past the door if it tries", () => {
  const error = assertThrowsError(() => shake(client({ credentials: { user: "anna" } }), server()), "AUTH_FAILED");
  assertStringIncludes(error.detail ?? "", "--client-cert");
  const door = server();
  door.receive(messageOf(client().hello()));
  const auth = { name: "AUTH", stream: 0, fin: false } as const;
  const knocks = { ...auth, fields: { method: "anonymous", user: "anna", data: new Uint8Array() } };
  assertThrowsError(() => door.receive(knocks), "AUTH_FAILED");
});

Deno.test("a stranger's certificate, and a certificate without its key, are refused and named in the claim", async () => {
  const stranger = OwnCertificate.parse(await (await TestAuthority.make()).issue({ names: ["anna"] }));
  const to = server();
  const strange = client({ credentials: { user: "", certificate: stranger } });
  assertThrowsError(() => shake(strange, to), "AUTH_FAILED");
  assertEquals([to.claim?.method, to.claim?.user], ["certificate", "anna"]);
  const thief = { der: anna.der, sign: (data: Uint8Array) => stranger.sign(data) } as OwnCertificate;
  const error = assertThrowsError(
    () => shake(client({ credentials: { user: "", certificate: thief } }), server()),
    "AUTH_FAILED",
  );
  assertStringIncludes(error.detail ?? "", "does not have the key");
});

Deno.test("a proof that was made for one session is good for no other", () => {
  const proofs: Uint8Array[] = [];
  const watched = {
    der: anna.der,
    sign: (data: Uint8Array) => {
      const proof = anna.sign(data);
      proofs.push(proof);
      return proof;
    },
  } as OwnCertificate;
  shake(client({ credentials: { user: "", certificate: watched } }), server());
  const replayed = { der: anna.der, sign: () => proofs[0] } as unknown as OwnCertificate;
  assertThrowsError(() => shake(client({ credentials: { user: "", certificate: replayed } }), server()), "AUTH_FAILED");
});

Deno.test("a client that means another server, or none over TLS, is refused at HELLO, with or without certificates", () => {
  for (const own of [{}, { clientTrust: undefined }]) {
    for (const peerName of ["SHA256:somebody between", "", undefined]) {
      const error = assertThrowsError(() => shake(client({ peerName }), server(own)), "AUTH_FAILED");
      assertStringIncludes(error.detail ?? "", "somebody may be in between");
    }
  }
  assert(shake(client({ peerName: undefined }), server({ clientTrust: undefined, answersTo: undefined })).ready);
});

Deno.test("certificates are for TLS: a server that is not reached over it lets nobody in", () => {
  assertThrowsError(() => shake(client(), server({ answersTo: undefined })), "AUTH_FAILED");
});

Deno.test("a certificate is not shown to a server that does not ask", () => {
  const { said } = shake(client(), server({ clientTrust: undefined }));
  assertEquals(said, ["HELLO", "HELLO", "AUTH", "READY"]);
});
