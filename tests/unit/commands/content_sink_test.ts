import { assertEquals } from "@std/assert";
import { safePath } from "../../../lib/base/virtual_path.ts";
import { contentSink } from "../../../lib/commands/content_sink.ts";
import type { ContentChunk } from "../../../lib/session/command.ts";
import { MemoryStorage } from "../../../lib/storage/memory.ts";
import { bytesOf, loadText } from "../../support/stored_files.ts";

const path = safePath("/f");
const file = { place: { asked: path, virtual: path, real: path }, size: 3, transfer: "1.1" };

Deno.test("a chunk is free again at once, however long a plugin looks at its copy", async () => {
  const storage = new MemoryStorage();
  const writer = await storage.openWrite(path);
  const shown: ContentChunk[] = [];
  const gate = Promise.withResolvers<null[]>();
  const check = (chunks: readonly ContentChunk[]) => (shown.push(...chunks), gate.promise);
  const sink = contentSink({ check }, writer, file);
  const chunk = bytesOf("abc");
  const writing = sink.write(chunk);
  chunk.fill(0);
  gate.resolve([null]);
  await writing;
  await sink.end();
  await writer.commit();
  assertEquals(await loadText(storage, "/f"), "abc");
  assertEquals(shown.map(({ chunk, offset }) => [chunk.length, offset]), [[3, 0], [0, 3]]);
});

Deno.test("what a plugin still looks at when the put has failed is not written", async () => {
  const gate = Promise.withResolvers<null[]>();
  const storage = new MemoryStorage();
  const writer = await storage.openWrite(path);
  const sink = contentSink({ check: () => gate.promise }, writer, file);
  const writing = sink.write(bytesOf("abc"));
  sink.close();
  gate.resolve([null]);
  await writing;
  await writer.commit();
  assertEquals(await loadText(storage, "/f"), "");
});
