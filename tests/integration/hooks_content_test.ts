import { assert, assertEquals } from "@std/assert";
import { FshError } from "../../lib/base/errors.ts";
import type { HookEvent } from "../../lib/hooks/event.ts";
import type { Hook } from "../../lib/hooks/plugin.ts";
import { HookedServer, pluginOf } from "../support/hooked_server.ts";
import { assertFails } from "../support/named_errors.ts";
import { pausedSource, sourceOf } from "../support/sources.ts";
import { bytesOf, pattern } from "../support/stored_files.ts";

const LARGE = pattern(3_000_000);

async function withContent(
  content: Hook<"content">,
  fn: (server: HookedServer) => Promise<void>,
): Promise<void> {
  await using server = await HookedServer.start({ tree: { "/old": "old" }, plugins: [pluginOf({ content })] });
  await fn(server);
}

/** Puts chunks together, checking that each begins where the last one ended. */
class Seen {
  readonly events: HookEvent<"content">[] = [];
  readonly take = (event: HookEvent<"content">) => void this.events.push(event);

  /** The file, of which nothing may be missing or twice. */
  file(path: string): { bytes: number; ends: number } {
    let at = 0;
    let ends = 0;
    for (const { chunk, offset } of this.events.filter((event) => event.path === path)) {
      assertEquals(offset, at);
      assertEquals(chunk, LARGE.slice(at, at + chunk.length));
      if (chunk.length === 0) ends++;
      at += chunk.length;
    }
    return { bytes: at, ends };
  }
}

Deno.test("a plugin sees all bytes of a put in their order, and its copies are its own", async () => {
  const seen = new Seen();
  await withContent((event) => {
    seen.take({ ...event, chunk: event.chunk.slice() });
    event.chunk.fill(0);
  }, async (server) => {
    const client = await server.running.client({ user: "alice" });
    await client.put("/new", sourceOf(LARGE), { size: LARGE.length });
    assertEquals(seen.file("/new"), { bytes: LARGE.length, ends: 1 });
    assertEquals(new Set(seen.events.map(({ transfer }) => transfer)).size, 1);
    assertEquals([seen.events[0]?.size, seen.events[0]?.user?.name], [LARGE.length, "alice"]);
    assertEquals(await Deno.readFile(`${server.folder}/new`), LARGE);
    await client.put("/empty", sourceOf(new Uint8Array()), { size: 0 });
    assertEquals(seen.file("/empty"), { bytes: 0, ends: 1 });
  });
});

Deno.test("a slow plugin holds the sender up: what waits is bounded by the window", async () => {
  let shown = 0;
  const gate = Promise.withResolvers<void>();
  await withContent(async ({ chunk }) => {
    shown += chunk.length;
    await gate.promise;
  }, async (server) => {
    const client = await server.running.client();
    let sent = 0;
    const put = client.put("/new", sourceOf(LARGE), { size: LARGE.length, progress: (bytes) => sent += bytes });
    await new Promise((resolve) => setTimeout(resolve, 100));
    // The server's window here is 256 KiB.
    assert(shown > 0 && shown <= 256 * 1024 && sent <= 512 * 1024, `${shown} shown, ${sent} sent`);
    gate.resolve();
    await put;
    assertEquals(await Deno.readFile(`${server.folder}/new`), LARGE);
  });
});

for (const [when, at] of [["in the middle", 1_000_000], ["at the end", LARGE.length]] as const) {
  Deno.test(`a put that is refused ${when} leaves the old target and nothing else`, async () => {
    const content: Hook<"content"> = ({ chunk, offset }) => {
      const late = at === LARGE.length ? chunk.length === 0 : offset + chunk.length > at;
      return late ? { allow: false, reason: "it smells" } : { allow: true };
    };
    await withContent(content, async (server) => {
      const client = await server.running.client();
      for (const key of ["", "k"]) {
        const put = () => client.put("/old", sourceOf(LARGE), { size: LARGE.length, key });
        const error = await assertFails(put, "NOT_PERMITTED");
        assertEquals([error.subject, error.detail], ["/old", "it smells"]);
        assertEquals(server.snapshot(), { "/old": "old" });
      }
    });
  });
}

Deno.test("a put that goes on shows what was there before, too", async () => {
  const seen = new Seen();
  await withContent(seen.take, async (server) => {
    const options = { size: LARGE.length, key: "k" };
    const cut = pausedSource(LARGE.subarray(0, 1_000_000));
    const first = await server.running.client();
    const interrupted = first.put("/new", cut, options).catch(() => {});
    while (seen.file("/new").bytes < 1_000_000) await new Promise((resolve) => setTimeout(resolve, 5));
    first.session.abort(new FshError("INTERRUPTED"));
    await interrupted;
    await server.running.quiet();
    seen.events.splice(0);
    let at = 0;
    const source = {
      read: (buffer: Uint8Array) => {
        const some = LARGE.subarray(at, at + buffer.length);
        buffer.set(some);
        at += some.length;
        return Promise.resolve(some.length || null);
      },
      seek: (offset: number) => Promise.resolve(void (at = offset)),
    };
    let resumed = 0;
    const client = await server.running.client();
    await client.put("/new", source, { ...options, continue: true, resumed: (offset) => resumed = offset });
    assertEquals(resumed, 1_000_000);
    assertEquals(seen.file("/new"), { bytes: LARGE.length, ends: 1 });
    assertEquals(await Deno.readFile(`${server.folder}/new`), LARGE);
  });
});

Deno.test("of many small files each is shown, and only those that are refused are not stored", async () => {
  const seen = new Seen();
  await withContent((event) => {
    seen.take(event);
    return { allow: !new TextDecoder().decode(event.chunk).includes("virus"), reason: "a virus" };
  }, async (server) => {
    const client = await server.running.client();
    const files = [["/a", "good"], ["/b", "a virus"], ["/c", ""]].map(([path = "", text = ""]) => {
      return { path, content: bytesOf(text), modified: null, mode: null };
    });
    const errors = await client.putSmall(files, { algorithm: "crc32" });
    assertEquals(errors.map((error) => error && [error.error, error.detail]), [
      null,
      ["NOT_PERMITTED", "a virus"],
      null,
    ]);
    assertEquals(server.snapshot(), { "/old": "old", "/a": "good", "/c": "" });
    const told = seen.events.map(({ path, chunk, offset }) => [path, chunk.length, offset]);
    assertEquals(told, [["/a", 4, 0], ["/b", 7, 0], ["/a", 0, 4], ["/c", 0, 0]]);
  });
});
