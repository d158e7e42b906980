import { assertEquals } from "@std/assert";
import { toHex } from "../../../lib/base/bytes.ts";
import { createDigest, DIGEST_ALGORITHMS } from "../../../lib/base/digest.ts";
import { assertThrowsError } from "../../support/named_errors.ts";
import { bytesOf, pattern } from "../../support/stored_files.ts";

function digest(algorithm: string, ...parts: Uint8Array[]): string {
  const one = createDigest(algorithm);
  for (const part of parts) one.update(part);
  return toHex(one.finish());
}

/** The check value of CRC-32/ISO-HDLC, and the examples of FIPS 180-2. */
const vectors: readonly (readonly [string, string, string])[] = [
  ["crc32", "", "00000000"],
  ["crc32", "123456789", "cbf43926"],
  ["sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["none", "abc", ""],
];
for (const [algorithm, text, expected] of vectors) {
  Deno.test(`${algorithm} of ${JSON.stringify(text)} is the known one`, () => {
    assertEquals(digest(algorithm, bytesOf(text)), expected);
  });
}

Deno.test("a digest does not depend on how the bytes are cut", () => {
  const bytes = pattern(10_000);
  for (const algorithm of DIGEST_ALGORITHMS) {
    const whole = digest(algorithm, bytes);
    for (const cut of [0, 1, 63, 64, 65, 5000, 9999, 10_000]) {
      assertEquals(digest(algorithm, bytes.subarray(0, cut), bytes.subarray(cut)), whole);
    }
  }
});

Deno.test("an algorithm that nobody knows is UNSUPPORTED and named", () => {
  assertEquals(assertThrowsError(() => createDigest("md5"), "UNSUPPORTED").subject, "digest md5");
});
