import { assertEquals, assertMatch } from "@std/assert";
import { Certificate, checkFingerprint, PINNED_NAME } from "../../../lib/base/certificate.ts";
import { makeSelfSigned } from "../../../lib/transport/self_signed.ts";
import { selfSigned, TestAuthority } from "../../support/certificates.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

Deno.test("a certificate that fsh makes: its names, decades, no authority's, signed by itself, its own key", async () => {
  const { cert, key } = await makeSelfSigned({ names: ["localhost", "127.0.0.1", "::1", "localhost"] });
  const certificate = Certificate.fromPem(cert);
  assertEquals(certificate.names, ["localhost", "127.0.0.1", "::1", PINNED_NAME]);
  assertEquals([certificate.selfSigned, certificate.isAuthority, certificate.pinnable], [true, false, true]);
  const { from, to } = certificate.validity;
  assertEquals(from.getTime() < Date.now(), true);
  assertEquals(to.getUTCFullYear() - new Date().getUTCFullYear(), 50);
  assertEquals(certificate.belongsTo(key), true);
  const other = await makeSelfSigned({ names: [] });
  assertEquals(certificate.belongsTo(other.key), false);
  assertEquals(certificate.belongsTo("rubbish"), false);
  assertMatch(certificate.fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/);
  assertEquals(Certificate.fromDer(certificate.der).fingerprint, certificate.fingerprint);
  assertEquals(Certificate.fromPem(certificate.pem).fingerprint, certificate.fingerprint);
});

Deno.test({
  name: "the fingerprint is the SHA-256 that openssl shows",
  ignore: !await new Deno.Command("openssl", { args: ["version"], stdout: "null" }).output().then(
    () => true,
    () => false,
  ),
  async fn() {
    const { cert } = await makeSelfSigned({ names: ["localhost"] });
    const child = new Deno.Command("openssl", {
      args: ["x509", "-noout", "-fingerprint", "-sha256"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(cert));
    await writer.close();
    const { stdout } = await child.output();
    const hex = new TextDecoder().decode(stdout).split("=")[1]?.trim().replaceAll(":", "") ?? "";
    const base64 = Uint8Array.fromHex(hex).toBase64({ omitPadding: true });
    assertEquals(Certificate.fromPem(cert).fingerprint, `SHA256:${base64}`);
  },
});

Deno.test("others: an authority's, one that an authority signed, one without names", async () => {
  const authority = await TestAuthority.make();
  assertEquals(Certificate.fromPem(authority.pem).pinnable, false);
  const issued = Certificate.fromPem((await authority.issue({ names: ["a.example"] })).cert);
  assertEquals([issued.selfSigned, issued.pinnable], [false, false]);
  const nameless = Certificate.fromPem((await selfSigned({ names: [] })).cert);
  assertEquals([nameless.selfSigned, nameless.pinnable, nameless.names], [true, false, []]);
});

Deno.test("what is no certificate, or no fingerprint, is said to be none", () => {
  assertThrowsError(() => Certificate.fromPem("rubbish"), "CERTIFICATE_UNUSABLE");
  assertThrowsError(() => Certificate.fromDer(new Uint8Array(10)), "CERTIFICATE_UNUSABLE");
  assertThrowsError(() => Certificate.fromDer(new Uint8Array(17_000)), "CERTIFICATE_UNUSABLE");
  for (const text of ["", "SHA256:", "sha256:" + "A".repeat(43), "SHA256:" + "A".repeat(44), "A".repeat(43)]) {
    assertThrowsError(() => checkFingerprint("--fingerprint", text), "USAGE");
  }
});
