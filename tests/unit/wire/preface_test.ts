import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkPreface, PREFACE, strayAnswer } from "../../../lib/wire/preface.ts";
import { assertThrowsError } from "../../support/named_errors.ts";
import { bytesOf } from "../../support/stored_files.ts";

Deno.test("preface is complete only when whole", () => {
  for (let length = 0; length < PREFACE.length; length++) {
    assertEquals(checkPreface(PREFACE.subarray(0, length)), false);
  }
  assertEquals(checkPreface(PREFACE), true);
});

Deno.test("another version is BAD_VERSION and named", () => {
  const error = assertThrowsError(() => checkPreface(bytesOf("FSH/2\r\n")), "BAD_VERSION");
  assertStringIncludes(error.message, "FSH/2");
});

const strays: readonly (readonly [string, string])[] = [
  ["GET / HTTP/1.1\r\n", "HTTP"],
  ["GET / H", "HTTP"],
  ["OPTIONS", "HTTP"],
  ["PRI * H", "HTTP"],
  ["HTTP/1.1 400", "HTTP"],
  ["SSH-2.0-OpenSSH_9.6\r\n", "SSH"],
  ["\x16\x03\x01\x02\x00\x01\x00", "TLS"],
  ["220 ftp.example.org", "FTP or SMTP"],
  ["EHLO me\r\n", "FTP or SMTP"],
  ["@RSYNCD: 31.0\n", "rsync"],
];
for (const [text, protocol] of strays) {
  Deno.test(`a stray that begins ${JSON.stringify(text)} is BAD_PREFACE and said to speak ${protocol}`, () => {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const error = assertThrowsError(() => checkPreface(bytes), "BAD_PREFACE");
    assertStringIncludes(error.message, `it seems to speak ${protocol}`);
  });
}

Deno.test("a stray that nobody knows is BAD_PREFACE without a guess", () => {
  assertEquals(assertThrowsError(() => checkPreface(bytesOf("hello\n")), "BAD_PREFACE").detail, undefined);
});

Deno.test("an HTTP client is answered in HTTP, with a length that is true", () => {
  const answer = new TextDecoder().decode(strayAnswer(bytesOf("GET / H")));
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  assertStringIncludes(head, "HTTP/1.1 400 ");
  assertStringIncludes(head, `Content-Length: ${body.length}`);
  assertStringIncludes(body, "FSH/1");
});

Deno.test("another client is answered with a sentence", () => {
  assertStringIncludes(new TextDecoder().decode(strayAnswer(bytesOf("SSH-2.0"))), "This is an fsh server");
});
