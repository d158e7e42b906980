import { assertEquals } from "@std/assert";
import {
  baseName,
  childPath,
  isWithin,
  MAX_NAME_BYTES,
  MAX_PATH_BYTES,
  oddName,
  parentPath,
  ROOT,
  safePath,
} from "../../../lib/base/virtual_path.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

const rejected = [
  "",
  "a",
  "a/b",
  "//",
  "//a",
  "/a//b",
  "/a//",
  "/.",
  "/..",
  "/../",
  "/./a",
  "/a/..",
  "/a/../b",
  "/a/./b",
  "/a\0",
  "/\0",
  "/.fsh-part-0123",
  "/a/.fsh-part-",
  "/.fsh-part-x/b",
  "/\ud800",
];
for (const path of rejected) {
  Deno.test(`safePath rejects ${JSON.stringify(path)}`, () => {
    assertThrowsError(() => safePath(path), "PATH_REJECTED");
  });
}

const accepted = [
  "/a",
  "/a/b/c",
  "/...",
  "/..a",
  "/a..",
  "/.hidden",
  "/.fsh-par",
  "/-rf",
  "/--",
  "/ ",
  "/a b ",
  "/a.",
  "/new\nline",
  "/tab\tand\\backslash",
  "/B\u00e1o c\u00e1o qu\u00fd.txt",
  "/Ba\u0301o ca\u0301o quy\u0301.txt",
  "/😀",
  "/\u202egnp.exe",
  "/%2e%2e",
  "/con",
  "/a:b",
  "/\ufeffbom",
];
for (const path of accepted) {
  Deno.test(`safePath takes ${JSON.stringify(path)} as it is`, () => {
    assertEquals<string>(safePath(path), path);
  });
}

Deno.test("safePath keeps NFC and NFD apart", () => {
  assertEquals(safePath("/\u00e9") === safePath("/e\u0301"), false);
});

Deno.test("safePath drops one slash at the end, and only one", () => {
  assertEquals<string>(safePath("/a/"), "/a");
  assertEquals<string>(safePath("/"), "/");
  assertThrowsError(() => safePath("/a//"), "PATH_REJECTED");
});

Deno.test("safePath counts bytes, not characters, of a name", () => {
  assertEquals(safePath("/" + "x".repeat(MAX_NAME_BYTES)).length, MAX_NAME_BYTES + 1);
  assertThrowsError(() => safePath("/" + "x".repeat(MAX_NAME_BYTES + 1)), "NAME_TOO_LONG");
  assertEquals(safePath("/" + "ế".repeat(85)).length, 86);
  assertThrowsError(() => safePath("/" + "ế".repeat(86)), "NAME_TOO_LONG");
});

Deno.test("safePath bounds the whole path", () => {
  const long = "/abc".repeat(MAX_PATH_BYTES / 4);
  assertEquals(safePath(long).length, MAX_PATH_BYTES);
  assertThrowsError(() => safePath(long + "d"), "NAME_TOO_LONG");
  assertThrowsError(() => safePath("/" + "😀/".repeat(1_000_000)), "NAME_TOO_LONG");
});

Deno.test("childPath cannot climb out", () => {
  const folder = safePath("/a/b");
  assertEquals<string>(childPath(folder, "c/d"), "/a/b/c/d");
  assertEquals<string>(childPath(ROOT, "c"), "/c");
  for (const name of ["..", "../x", "/x", "c//d", "", "c/../../x", "c\0"]) {
    assertThrowsError(() => childPath(folder, name), "PATH_REJECTED");
  }
});

Deno.test("parentPath, baseName and isWithin agree on components", () => {
  const path = safePath("/a/b");
  assertEquals<string>(parentPath(path), "/a");
  assertEquals<string>(parentPath(parentPath(path)), "/");
  assertEquals<string>(parentPath(ROOT), "/");
  assertEquals(baseName(path), "b");
  assertEquals(baseName(ROOT), "");
  assertEquals(isWithin(path, ROOT), true);
  assertEquals(isWithin(path, path), true);
  assertEquals(isWithin(path, safePath("/a")), true);
  assertEquals(isWithin(safePath("/ab"), safePath("/a")), false);
  assertEquals(isWithin(safePath("/a"), path), false);
});

Deno.test("on Windows oddName refuses what that system reads as something else", () => {
  for (
    const name of [
      "a:b",
      "a\\b",
      "a*",
      "a?",
      'a"',
      "<a",
      "a>",
      "a|b",
      "a\nb",
      "a.",
      "a ",
      "con",
      "CON.txt",
      "nul",
      "Com1",
      "lpt9.log",
      "com¹",
      "aux.tar.gz",
      "PRN",
      "con .txt",
      "CONIN$",
      "conout$.log",
      "file:stream",
      "file::$DATA",
      "C:",
      "..\\up",
      "a\u0001",
    ]
  ) {
    assertEquals(typeof oddName(name, "windows"), "string", name);
    assertEquals(oddName(name, "linux"), null, name);
  }
  for (const name of ["a", "console", "com", "com10", "nulls", ".a", "Báo cáo", "a b", "-a"]) {
    assertEquals(oddName(name, "windows"), null, name);
  }
});

Deno.test("unfinished files are reserved in whatever case the platform does not tell apart", () => {
  for (const os of ["linux", "darwin", "windows"] as const) {
    assertEquals(typeof oddName(".fsh-part-1", os), "string");
    assertEquals(oddName(".FSH-Part-1", os) === null, os === "linux", os);
  }
});
