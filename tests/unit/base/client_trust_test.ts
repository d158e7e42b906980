import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { ClientCertificate, ClientTrust } from "../../../lib/base/client_trust.ts";
import { OwnCertificate } from "../../../lib/base/own_certificate.ts";
import { CLIENT_AUTH, selfSigned, SERVER_AUTH, TestAuthority } from "../../support/certificates.ts";
import { assertFails, assertThrowsError } from "../../support/named_errors.ts";

const office = await TestAuthority.make();
const trust = await ClientTrust.parse(`comments are fine\n${office.pem}`);

function certificateOf(pem: string): ClientCertificate {
  return ClientCertificate.parse(new Uint8Array(new X509Certificate(pem).raw));
}

function refusal(pem: string, by = trust): string {
  return assertThrowsError(() => by.check(certificateOf(pem)), "AUTH_FAILED").detail ?? "";
}

Deno.test("a certificate of a trusted authority is good, and so is one that is listed itself", async () => {
  const anna = await office.issue({ names: ["anna"] });
  trust.check(certificateOf(anna.cert));
  const listed = await selfSigned({ names: ["bert"] });
  const both = await ClientTrust.parse(office.pem + listed.cert);
  both.check(certificateOf(listed.cert));
  both.check(certificateOf((await office.issue({ names: ["any purpose"], purposes: [] })).cert));
  both.check(certificateOf((await office.issue({ names: ["two"], purposes: [SERVER_AUTH, CLIENT_AUTH] })).cert));
  assertEquals(certificateOf(anna.cert).facts.name, "anna");
  assert(/^SHA256:[A-Za-z0-9+/]{43}$/.test(certificateOf(anna.cert).facts.fingerprint));
});

Deno.test("what is wrong with a certificate is said", async () => {
  const stranger = await TestAuthority.make();
  const cases: [string, string][] = [
    [(await stranger.issue({ names: ["anna"] })).cert, "not from an authority"],
    [(await selfSigned({ names: ["anna"] })).cert, "not from an authority"],
    [(await office.issue({ names: ["anna"], days: [-9, -1] })).cert, "expired on "],
    [(await office.issue({ names: ["anna"], days: [1, 9] })).cert, "not valid before "],
    [(await office.issue({ names: ["anna"], purposes: [SERVER_AUTH] })).cert, "not meant for clients"],
    [(await office.issue({ names: ["Branch"], isAuthority: true })).cert, "an authority's"],
    [(await office.issue({ names: [] })).cert, "names nobody"],
  ];
  for (const [pem, wrong] of cases) assertStringIncludes(refusal(pem), wrong);
  const old = await TestAuthority.make([-9, -1]);
  const theirs = (await old.issue({ names: ["anna"] })).cert;
  assertStringIncludes(refusal(theirs, await ClientTrust.parse(old.pem)), "has expired");
});

Deno.test("a client's certificate vouches for nobody: what it has signed is not trusted", async () => {
  const listed = await selfSigned({ names: ["bert"] });
  const by = await ClientTrust.parse(listed.cert);
  assertStringIncludes(refusal((await selfSigned({ names: ["bert"] })).cert, by), "not from an authority");
});

Deno.test("a file without certificates, or with a damaged one, is refused", async () => {
  await assertFails(() => ClientTrust.parse("nothing"), "USAGE");
  const damaged = office.pem.replace(/\n[A-Za-z0-9+/]{64}\n/, "\nAAAA\n");
  const error = await assertFails(() => ClientTrust.parse(office.pem + damaged), "USAGE");
  assertStringIncludes(error.detail ?? "", "certificate 2");
});

Deno.test("garbage is no certificate", () => {
  for (
    const bytes of [new Uint8Array(), new Uint8Array(100).fill(0x30), new Uint8Array([0x30, 0x84, 255, 255, 255, 255])]
  ) {
    assertThrowsError(() => ClientCertificate.parse(bytes), "AUTH_FAILED");
  }
});

Deno.test("who owns a certificate can sign, and nobody else", async () => {
  const [anna, bert] = [await office.issue({ names: ["anna"] }), await office.issue({ names: ["bert"] })];
  const own = OwnCertificate.parse(anna);
  const data = new Uint8Array([1, 2, 3]);
  const signature = own.sign(data);
  assert(certificateOf(anna.cert).verifies(signature, data));
  assert(!certificateOf(anna.cert).verifies(signature, new Uint8Array([1, 2, 4])));
  assert(!certificateOf(bert.cert).verifies(signature, data));
  for (const wrong of [new Uint8Array(), new Uint8Array(64), signature.slice(1)]) {
    assert(!certificateOf(anna.cert).verifies(wrong, data));
  }
  const mixed = assertThrowsError(() => OwnCertificate.parse({ ...anna, key: bert.key }), "USAGE");
  assertStringIncludes(mixed.detail ?? "", "don't belong together");
  assertThrowsError(() => OwnCertificate.parse({ cert: anna.key, key: anna.key }), "USAGE");
  assertThrowsError(() => OwnCertificate.parse({ cert: anna.cert, key: anna.cert }), "USAGE");
});
