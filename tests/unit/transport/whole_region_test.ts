import { assertEquals } from "@std/assert";
import type { Connection } from "../../../lib/transport/transport.ts";
import { writeWholeRegion } from "../../../lib/transport/whole_region.ts";
import { assertFails } from "../../support/named_errors.ts";

/** A connection whose file has so many bytes left; what it was told, in order. */
function connectionWith(left: number): { connection: Connection; told: string[] } {
  const told: string[] = [];
  const connection: Connection = {
    local: "here:1",
    remote: "there:2",
    read: () => Promise.resolve(null),
    write: (bytes) => (told.push(`write ${bytes.length}`), Promise.resolve(bytes.length)),
    writeFile: ({ length }, at) => {
      const some = Math.min(3, length - at, Math.max(0, left - at));
      told.push(`file ${at} ${some}`);
      return Promise.resolve(some);
    },
    cork: (on) => void told.push(on ? "cork" : "uncork"),
    closeWrite: () => Promise.resolve(),
    close: () => {},
    abort: () => {},
  };
  return { connection, told };
}

const region = { descriptor: 0, offset: 0, length: 5, crc: null };

Deno.test("bytes and a piece of a file go out as one, in as many writes as it takes", async () => {
  const { connection, told } = connectionWith(5);
  let moved = 0;
  await writeWholeRegion(connection, new Uint8Array(8), { region, moved: (bytes) => moved += bytes });
  assertEquals(told, ["cork", "write 8", "file 0 3", "file 3 2", "uncork"]);
  assertEquals(moved, 13);
});

Deno.test("what is missing of a file that became shorter is not made up", async () => {
  const { connection, told } = connectionWith(4);
  await assertFails(() => writeWholeRegion(connection, new Uint8Array(0), { region }), "SOURCE_CHANGED");
  assertEquals(told, ["cork", "file 0 3", "file 3 1", "file 4 0", "uncork"]);
});
