import { assertEquals, assertStringIncludes } from "@std/assert";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import {
  classicCount,
  classicName,
  classicSize,
  readClassicCount,
  readClassicName,
  readClassicSize,
} from "../../../lib/wire/classic.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

function field(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(256);
  whole.set(bytes);
  return whole;
}

Deno.test("integers are little-endian", () => {
  assertEquals(classicSize(0x0102030405), Uint8Array.of(5, 4, 3, 2, 1, 0, 0, 0));
  assertEquals(classicCount(0xfffefdfc), Uint8Array.of(0xfc, 0xfd, 0xfe, 0xff));
  assertEquals(readClassicSize(classicSize(Number.MAX_SAFE_INTEGER)), Number.MAX_SAFE_INTEGER);

  assertEquals(readClassicSize(Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0)), Infinity);
  assertEquals(readClassicSize(new Uint8Array(8).fill(0xff)), Infinity);
  assertEquals(readClassicCount(Uint8Array.of(1, 2, 3, 4)), 0x04030201);
});

Deno.test("names of 255 bytes fit, and come back as they went", () => {
  for (const name of ["a", "x".repeat(255), "ü".repeat(127), "😀", "..a", "-", "\ufeffa"]) {
    assertEquals(readClassicName(classicName(name)), name);
  }
  assertThrowsError(() => classicName("x".repeat(256)), "NAME_TOO_LONG");
  assertThrowsError(() => classicName("ü".repeat(128)), "NAME_TOO_LONG");
  assertStringIncludes(assertThrowsError(() => classicName("a\0b"), "PATH_REJECTED").message, "NUL");
});

Deno.test("a name ends at its first NUL; without one, or as more than one component, it is refused", () => {
  assertEquals(readClassicName(field(encodeUtf8("a\0/../b"))), "a");
  assertStringIncludes(
    assertThrowsError(() => readClassicName(new Uint8Array(256).fill(65)), "PATH_REJECTED").message,
    "no NUL",
  );
  assertStringIncludes(
    assertThrowsError(() => readClassicName(field(new Uint8Array())), "PATH_REJECTED").message,
    "empty",
  );
  assertStringIncludes(
    assertThrowsError(() => readClassicName(field(Uint8Array.of(0xc0, 0xaf))), "PATH_REJECTED").message,
    "not valid UTF-8",
  );
  for (const name of ["/a", "a/", "a/b", "../a"]) {
    assertStringIncludes(
      assertThrowsError(() => readClassicName(field(encodeUtf8(name))), "PATH_REJECTED").message,
      "no folders",
    );
  }
});
