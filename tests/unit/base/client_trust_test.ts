import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { ClientCertificate, ClientTrust } from "../../../lib/base/client_trust.ts";
import { OwnCertificate } from "../../../lib/base/own_certificate.ts";
import { Authority, CLIENT_AUTH, selfSigned, SERVER_AUTH } from "../../support/client_certificates.ts";
import { assertFails, assertThrowsError } from "../../support/named_errors.ts";

const office = await Authority.make("Office");
const trust = await ClientTrust.parse(`comments are fine\n${office.pem}`);

function certificateOf(pem: string): ClientCertificate {
  return ClientCertificate.parse(new Uint8Array(new X509Certificate(pem).raw));
}

function refusal(pem: string, by = trust): string {
  return assertThrowsError(() => by.check(certificateOf(pem)), "AUTH_FAILED").detail ?? "";
}

Deno.test("a certificate of a trusted authority is good, and so is one that is listed itself", async () => {
  const anna = await office.issue({ name: "anna" });
  trust.check(certificateOf(anna.certificate));
  const listed = await selfSigned({ name: "bert" });
  const both = await ClientTrust.parse(office.pem + listed.certificate);
  both.check(certificateOf(listed.certificate));
  both.check(certificateOf((await office.issue({ name: "any purpose", purposes: [] })).certificate));
  both.check(certificateOf((await office.issue({ name: "two", purposes: [SERVER_AUTH, CLIENT_AUTH] })).certificate));
  assertEquals(certificateOf(anna.certificate).facts.name, "anna");
  assert(/^SHA256:[A-Za-z0-9+/]{43}$/.test(certificateOf(anna.certificate).facts.fingerprint));
});

Deno.test("what is wrong with a certificate is said", async () => {
  const stranger = await Authority.make("Office");
  const cases: [string, string][] = [
    [(await stranger.issue({ name: "anna" })).certificate, "not from an authority"],
    [(await selfSigned({ name: "anna" })).certificate, "not from an authority"],
    [(await office.issue({ name: "anna", from: -9, until: -1 })).certificate, "expired on "],
    [(await office.issue({ name: "anna", from: 1 })).certificate, "not valid before "],
    [(await office.issue({ name: "anna", purposes: [SERVER_AUTH] })).certificate, "not meant for clients"],
    [(await office.issue({ name: "Branch", authority: true })).certificate, "an authority's"],
    [(await office.issue({ name: "" })).certificate, "names nobody"],
  ];
  for (const [pem, wrong] of cases) assertStringIncludes(refusal(pem), wrong);
  const old = await Authority.make("Old", { from: -9, until: -1 });
  const theirs = (await old.issue({ name: "anna" })).certificate;
  assertStringIncludes(refusal(theirs, await ClientTrust.parse(old.pem)), "has expired");
});

Deno.test("a client's certificate vouches for nobody: what it has signed is not trusted", async () => {
  const listed = await selfSigned({ name: "bert" });
  const by = await ClientTrust.parse(listed.certificate);
  assertStringIncludes(refusal((await selfSigned({ name: "bert" })).certificate, by), "not from an authority");
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
  const [anna, bert] = [await office.issue({ name: "anna" }), await office.issue({ name: "bert" })];
  const own = OwnCertificate.parse(anna);
  const data = new Uint8Array([1, 2, 3]);
  const signature = own.sign(data);
  assert(certificateOf(anna.certificate).verifies(signature, data));
  assert(!certificateOf(anna.certificate).verifies(signature, new Uint8Array([1, 2, 4])));
  assert(!certificateOf(bert.certificate).verifies(signature, data));
  for (const wrong of [new Uint8Array(), new Uint8Array(64), signature.slice(1)]) {
    assert(!certificateOf(anna.certificate).verifies(wrong, data));
  }
  const mixed = assertThrowsError(() => OwnCertificate.parse({ ...anna, key: bert.key }), "USAGE");
  assertStringIncludes(mixed.detail ?? "", "don't belong together");
  assertThrowsError(() => OwnCertificate.parse({ certificate: anna.key, key: anna.key }), "USAGE");
  assertThrowsError(() => OwnCertificate.parse({ certificate: anna.certificate, key: anna.certificate }), "USAGE");
});
