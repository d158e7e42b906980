import { assertEquals, assertStringIncludes } from "@std/assert";
import { LineReader } from "../../../lib/base/line_reader.ts";
import { assertFails } from "../../support/named_errors.ts";

/** A reader of these pieces, one a read. */
function reader(pieces: readonly (string | Uint8Array)[], most = 10): LineReader {
  const left = pieces.map((piece) => typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
  const read = (buffer: Uint8Array) => {
    const piece = left.shift();
    if (piece === undefined) return Promise.resolve(null);
    const now = piece.subarray(0, buffer.length);
    if (now.length < piece.length) left.unshift(piece.subarray(now.length));
    buffer.set(now);
    return Promise.resolve(now.length);
  };
  return new LineReader({ read }, { most, fault: "BAD_REQUEST" });
}

async function all(lines: LineReader): Promise<string[]> {
  const found: string[] = [];
  for (let line; (line = await lines.next()) !== null;) found.push(line);
  return found;
}

Deno.test("lines come out whole, however the bytes come in", async () => {
  const text = "a\n\nlänger\n0123456789\n";
  assertEquals(await all(reader([text])), ["a", "", "länger", "0123456789"]);
  const bytes = [...new TextEncoder().encode(text)].map((byte) => Uint8Array.of(byte));
  assertEquals(await all(reader(bytes)), ["a", "", "länger", "0123456789"]);
  assertEquals(await all(reader([])), []);
});

Deno.test("many and long lines, over the buffer's edges", async () => {
  const lines = Array.from({ length: 3000 }, (_, at) => "x".repeat(at % 97) + at);
  assertEquals(await all(reader([lines.join("\n") + "\n"], 200)), lines);
  const long = "y".repeat(300_000);
  assertEquals(await all(reader([`${long}\nz\n`], 300_000)), [long, "z"]);
});

Deno.test("what is no line is a fault that says why", async () => {
  const fault = async (pieces: (string | Uint8Array)[], why: string) => {
    const error = await assertFails(() => all(reader(pieces)), "BAD_REQUEST");
    assertStringIncludes(error.message, why);
  };
  await fault(["01234567890\n"], "a line of more than 10 bytes");
  await fault(["0123456789", "0"], "a line of more than 10 bytes");
  await fault(["a\nb"], "in the middle of a line");
  await fault([Uint8Array.of(0xff, 10)], "not UTF-8");
});
