import { assert, assertEquals, assertMatch } from "@std/assert";
import { Flip, markedBytes } from "../support/damage.ts";
import { assertOld, isOld, partFiles, placeOld, visible } from "../support/old_file.ts";
import { fsh, type Outcome, scratch, ServerProcess, spawnFsh } from "../support/program.ts";
import { Proxy } from "../support/proxy.ts";

/** By frame, or where frames have no digest of their own, by file. */
const DAMAGED = /CRC-32 differs|digest differs/;
const FILES = 60;

interface Scene extends AsyncDisposable {
  readonly direction: "get" | "put";
  readonly server: ServerProcess;
  readonly proxy: Proxy;
  readonly flip: Flip;
  /** Folder of the source; folder of the target. */
  readonly from: string;
  readonly to: string;
}

/** A server, a folder on this side, and a proxy that flips one bit on the way. */
async function scene(direction: "get" | "put"): Promise<Scene> {
  const server = await ServerProcess.start({ args: ["--durability", "none"] });
  const local = await scratch();
  const flip = new Flip(direction === "get" ? "client" : "server");
  const proxy = new Proxy(server.port, { change: flip.change });
  const [from, to] = direction === "get" ? [server.folder, local.path] : [local.path, server.folder];
  return {
    direction,
    server,
    proxy,
    flip,
    from,
    to,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
    },
  };
}

/** Moves `source` of the one folder to `target` of the other. */
function move(stage: Scene, url: string, source: string, target: string, ...options: string[]): Promise<Outcome> {
  const { direction, from, to } = stage;
  return direction === "get"
    ? fsh(["get", "--force", ...options, url + source, `${to}/${target}`])
    : fsh(["put", ...options, `${from}/${source}`, url + target]);
}

for (const direction of ["get", "put"] as const) {
  for (const size of [300_000, 8_000_000]) {
    Deno.test(`a byte that flips on the way of a ${direction} of ${size} bytes: status 6, the old file stays`, async () => {
      await using stage = await scene(direction);
      const { server, proxy, flip, from, to } = stage;
      const content = markedBytes(size, flip.mark);
      await Deno.writeFile(`${from}/source`, content);
      await placeOld(`${to}/target`);

      const damaged = await move(stage, proxy.url, "source", "target", "--retries", "0");
      assert(flip.done, "nothing was flipped");
      assertEquals(damaged.code, 6, damaged.err);
      assertMatch(damaged.err, DAMAGED);
      await assertOld(`${to}/target`);
      assertEquals(visible(to), ["target"]);
      const listed = await fsh(["ls", "-R", server.url]);
      assertEquals(listed.out, direction === "get" ? "source\n" : "target\n");
      const again = await move(stage, server.url, "source", "target", "--resume");
      assertEquals(again.code, 0, again.err);
      assertEquals(await Deno.readFile(`${to}/target`), content);
      assertEquals([partFiles(from), partFiles(to)], [[], []]);
    });
  }

  for (const hit of ["small", "large"] as const) {
    Deno.test(`a byte that flips in a ${hit} file of a tree, ${direction}: no file is wrong, status 6, --resume completes`, async () => {
      await using stage = await scene(direction);
      const { server, proxy, flip, from, to } = stage;
      const files = await placeTree(stage, hit);

      // Into a folder the tree goes by its name.
      const damaged = await move(stage, proxy.url, "tree", "", "-r", "--retries", "0");
      assert(flip.done, "nothing was flipped");
      assertEquals(damaged.code, 6, `${damaged.err.split("\n").length} lines: ${damaged.err.slice(-400)}`);
      assertMatch(damaged.err, DAMAGED);
      for (const { name, source, target, hit } of files) {
        // The server may still be committing files that came whole before the damage.
        if (hit) await assertOld(target);
        else if (!isOld(target)) assertEquals(await Deno.readFile(target), await Deno.readFile(source), name);
      }
      assert(!(await fsh(["ls", "-R", server.url])).out.includes(".fsh-part-"));
      const again = await move(stage, server.url, "tree", "", "-r", "--resume");
      assertEquals(again.code, 0, again.err);
      for (const { name, source, target } of files) {
        assertEquals(await Deno.readFile(target), await Deno.readFile(source), name);
      }
      assertEquals([partFiles(from), partFiles(to)], [[], []]);
    });
  }

  Deno.test(`after a byte that flipped, a ${direction} connects anew by itself and goes on, one file and a tree`, async () => {
    await using stage = await scene(direction);
    const { proxy, flip, from, to } = stage;
    const files = await placeTree(stage, "large");
    const tree = await move(stage, proxy.url, "tree", "", "-r");
    assert(flip.done, "nothing was flipped");
    assertEquals(tree.code, 0, tree.err);
    assertMatch(tree.err, /CRC-32 differs.*trying again/);
    for (const { name, source, target } of files) {
      assertEquals(await Deno.readFile(target), await Deno.readFile(source), name);
    }
    assertEquals([partFiles(from), partFiles(to)], [[], []]);
  });
}

interface TreeFile {
  readonly name: string;
  readonly source: string;
  readonly target: string;
  /** The marker is in it. */
  readonly hit: boolean;
}

/** A tree of many small files and a large one, and older versions of all of them where they are to go. */
async function placeTree({ flip, from, to }: Scene, hit: "small" | "large"): Promise<TreeFile[]> {
  await Deno.mkdir(`${from}/tree/deep`, { recursive: true });
  await Deno.mkdir(`${to}/tree/deep`, { recursive: true });
  const marked = hit === "large" ? "large" : `deep/${FILES / 2}`;
  const files = ["large", ...Array.from({ length: FILES }, (_, i) => `deep/${i}`)].map((name) => ({
    name,
    source: `${from}/tree/${name}`,
    target: `${to}/tree/${name}`,
    hit: name === marked,
  }));
  for (const { name, source, target, hit } of files) {
    const mark = hit ? flip.mark : new Uint8Array(16);
    await Deno.writeFile(source, markedBytes(name === "large" ? 3_000_000 : 20_000, mark));
    await placeOld(target);
  }
  return files;
}

Deno.test("a byte that flips on the way into a pipe: nothing wrong is written, and the rest follows", async () => {
  await using stage = await scene("get");
  const content = markedBytes(8_000_000, stage.flip.mark);
  await Deno.writeFile(`${stage.from}/source`, content);
  const child = spawnFsh(["get", "-q", `${stage.proxy.url}source`, "-"]);
  const [out, { code }] = await Promise.all([new Response(child.stdout).bytes(), child.status, child.stderr.cancel()]);
  assert(stage.flip.done, "nothing was flipped");
  assertEquals(code, 0);
  assertEquals(out, content);
});
