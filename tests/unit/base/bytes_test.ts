import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  clipUtf8,
  decodeUtf8,
  encodeUtf8,
  equalBytes,
  jsonText,
  printable,
  randomHex,
  toHex,
  utf8Length,
} from "../../../lib/base/bytes.ts";

Deno.test("utf8Length counts what the encoder makes, of every width and of halves of pairs", () => {
  for (const text of ["", "a", "é", "日", "😀", "a😀é", "\ud83d", "\ude00\ud83d", "\ud83da", "\u07ff\u0800\uffff"]) {
    assertEquals(utf8Length(text), encodeUtf8(text).length, JSON.stringify(text));
  }
});

Deno.test("printable shows control characters instead of sending them", () => {
  assertEquals(printable("a\x1b[31mb"), "a\\x1b[31mb");
  assertEquals(printable("\n\t\r\0\x7f\x85\x9b"), "\\n\\t\\r\\x00\\x7f\\x85\\x9b");
  assertEquals(printable("\u202egnp\u2066\u2028"), "\\u202egnp\\u2066\\u2028");
});

Deno.test("jsonText is JSON, on one line and without a character that a terminal would execute", () => {
  const value = { name: "\u001b]0;x\u0007\u009b2J\u202e\u200f\u061c\n\u2028", plain: "Báo cáo 😀", number: 1 };
  const json = jsonText(value);
  assertEquals(JSON.parse(json), value);
  assertEquals(printable(json), json);
  assertStringIncludes(json, "Báo cáo 😀");
});

Deno.test("printable leaves text of any language alone", () => {
  const text = "Báo cáo quý 😀 e\u0301 日本";
  assertEquals(printable(text), text);
});

Deno.test("clipUtf8 keeps what fits and never cuts a character", () => {
  assertEquals(clipUtf8("short", 100), "short");
  assertEquals(clipUtf8("x".repeat(10), 10), "x".repeat(10));
  for (const text of ["x".repeat(50), "é".repeat(50), "ế".repeat(50), "😀".repeat(50), "a😀ế".repeat(20)]) {
    for (let max = 3; max < 60; max++) {
      const clipped = clipUtf8(text, max);
      assert(encodeUtf8(clipped).length <= max, `${encodeUtf8(clipped).length} over ${max}`);
      assert(clipped === text || (clipped.endsWith("…") && text.startsWith(clipped.slice(0, -1))));
      assert(clipped.isWellFormed());
    }
  }
});

Deno.test("clipUtf8 makes lone surrogates sendable", () => {
  assertEquals(clipUtf8("a\ud800b", 100), "a\ufffdb");
});

Deno.test("decodeUtf8 is strict and keeps a byte order mark", () => {
  assertEquals(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), "\ufeffa");
  assertThrows(() => decodeUtf8(Uint8Array.of(0xff)));
});

Deno.test("equalBytes compares length and content", () => {
  assertEquals(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true);
  assertEquals(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false);
  assertEquals(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1)), false);
  assertEquals(equalBytes(new Uint8Array(), new Uint8Array()), true);
});

Deno.test("toHex writes two digits a byte, randomHex never the same", () => {
  assertEquals(toHex(Uint8Array.of(0, 10, 255)), "000aff");
  assertEquals(randomHex(8).length, 16);
  assertEquals(randomHex(8) === randomHex(8), false);
});
