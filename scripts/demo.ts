// The main job end to end, on real files: serve a folder, put, list, get back, compare.
import { createHash } from "node:crypto";
import { dirname, fromFileUrl, join } from "@std/path";
import { walk } from "@std/fs";

const main = join(dirname(dirname(fromFileUrl(import.meta.url))), "main.ts");
const config = join(dirname(main), "deno.json");
const own = ["run", "--quiet", "--allow-all", "--config", config, main];
const work = await Deno.makeTempDir({ prefix: "fsh-demo-" });
const source = join(work, "mine");
const served = join(work, "served");
const back = join(work, "back");
const LARGE_MIB = 256;

let server: Deno.ChildProcess | null = null;
try {
  await Deno.mkdir(join(source, "tree", "sub"), { recursive: true });
  await Deno.mkdir(served);
  await fillRandom(join(source, "large.bin"), LARGE_MIB);
  await Deno.writeFile(join(source, "empty"), new Uint8Array());
  await Deno.writeTextFile(join(source, "tài liệu của tôi.txt"), "Xin chào!\n");
  for (let i = 0; i < 20; i++) await Deno.writeTextFile(join(source, "tree", "sub", `note-${i}.txt`), `note ${i}\n`);

  step("fsh serve served", "a server on a folder, on a free port of this machine");
  const started = await serve();
  server = started.child;
  const { url } = started;
  step(`fsh put -r mine ${url}`, "everything below mine: a large file, an empty one, an odd name, a small tree");
  await fsh("put", "-r", "--progress", "always", source, url);
  step(`fsh ls -lR ${url}mine`, "what the server has now");
  await fsh("ls", "-lR", `${url}mine`);
  step(`fsh get -r ${url}mine back`, "and back again");
  await fsh("get", "-r", "--progress", "always", `${url}mine`, back);
  step(`fsh ping -c 3 ${url}`, "how far away the server is");
  await fsh("ping", "-c", "3", "-i", "100ms", url);

  const files = await compare();
  console.log(`\nEach of the ${files} files came back with the SHA-256 that it had. Now by hand, on two machines:

  scripts/fsh serve DIR --host 0.0.0.0 --tls --insecure    on one: encrypted, and whoever reaches it may come in
  scripts/fsh put FILE fshs://THAT-HOST/       on the other; compare the fingerprint that it shows
  scripts/fsh ls -l fshs://THAT-HOST/
  scripts/fsh get fshs://THAT-HOST/FILE .
  scripts/fsh help                             all the rest

scripts/deno task compile makes dist/fsh, one file that runs without anything else on the machine.`);
} finally {
  server?.kill("SIGTERM");
  await server?.status;
  await Deno.remove(work, { recursive: true });
}

function step(command: string, what: string): void {
  console.log(`\n$ ${command}\n  (${what})`);
}

async function fsh(...args: string[]): Promise<void> {
  const { success, code } = await new Deno.Command(Deno.execPath(), { args: [...own, ...args], stdin: "null" })
    .spawn().status;
  if (!success) throw new Error(`fsh ${args[0]} ended with ${code}`);
}

async function serve(): Promise<{ child: Deno.ChildProcess; url: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...own, "serve", served, "--port", "0"],
    env: { FSH_LOG: "warn" },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await reader.read();
  console.log(value.trim());
  await reader.cancel();
  const url = /fsh:\/\/\S+/.exec(value)?.[0];
  if (!url) throw new Error("the server did not start");
  return { child, url };
}

async function fillRandom(path: string, mebibytes: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const chunk = new Uint8Array(1024 * 1024);
  for (let i = 0; i < mebibytes; i++) {
    for (let at = 0; at < chunk.length; at += 65536) crypto.getRandomValues(chunk.subarray(at, at + 65536));
    await file.write(chunk);
  }
}

/** Compares the digests of all files of both trees; answers how many there are. */
async function compare(): Promise<number> {
  let files = 0;
  console.log("");
  for await (const { path } of walk(source, { includeDirs: false })) {
    const copy = join(back, path.slice(source.length));
    const [before, after] = await Promise.all([sha256(path), sha256(copy)]);
    if (before !== after) throw new Error(`${path} came back different`);
    if (++files <= 3) console.log(`same SHA-256 ${before.slice(0, 16)}…  ${path.slice(source.length + 1)}`);
  }
  return files;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of (await Deno.open(path)).readable) hash.update(chunk);
  return hash.digest("hex");
}
