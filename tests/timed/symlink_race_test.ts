import { assert, assertGreaterOrEqual } from "@std/assert";
import { toText } from "@std/streams";
import { FshError, isError } from "../../lib/base/errors.ts";
import { Client } from "../../lib/client/client.ts";
import { native } from "../../lib/native/load.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { HIDDEN, Outside, SECRET } from "../support/outside.ts";
import { watched } from "../support/pipelined_peer.ts";
import { ServerProcess } from "../support/program.ts";
import { NAIVE, SWAPPER } from "../support/source_program.ts";
import { sourceOf } from "../support/sources.ts";
import { bytesOf } from "../support/stored_files.ts";

const LONG = Deno.env.get("FSH_LONG") === "1";
/** FSH_LONG=1 makes it a minute. */
const SECONDS = LONG ? 60 : 8;
/** How long an escape may take to show where nothing prevents it. */
const PATIENCE = 20;
const SESSIONS = 4;

/** A process that exchanges `a` and a link to outside, all the time. */
class Swapper implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  static async start({ served, parent }: Outside): Promise<Swapper> {
    const [program = "", ...args] = SWAPPER;
    const child = new Deno.Command(program, {
      args: [...args, served, `${parent}/private`],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const swapper = new Swapper(child);
    for (let i = 0; i < 500; i++) {
      if ([...Deno.readDirSync(served)].length === 2) return swapper;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("the swapper did not start");
  }

  async stop(): Promise<{ swaps: number; seconds: number }> {
    await this.#child.stdin.close();
    const out = await toText(this.#child.stdout);
    await this.#child.status;
    return JSON.parse(out.slice(out.indexOf("{")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    if (!this.#child.stdout.locked) await this.#child.stdout.cancel();
    if (!this.#child.stdin.locked) await this.#child.stdin.close().catch(() => {});
  }
}

const read = (client: Client, path: string) => client.get(path, { open: () => () => {} });
const put = (client: Client, path: string, size: number) => {
  return client.put(path, sourceOf(new Uint8Array(size)), { size, mode: 0o777, modified: 0 });
};

/** What is done by way of the folder that is exchanged; `n` is another number each time. */
const DEEDS: readonly ((client: Client, n: number) => Promise<unknown>)[] = [
  (client) => read(client, "/a/inner"),
  (client) => read(client, "/a/deep/inner"),
  (client) => read(client, "/z/inner"),
  (client) => {
    const take = () => Promise.resolve();
    return client.getSmall(["/a/inner", "/a/deep/inner", "/z/inner"], { algorithm: "crc32", limit: 1000, take });
  },
  (client, n) => put(client, `/a/put-${n % 8}`, 100),
  (client, n) => put(client, `/z/put-${n % 8}`, 300_000),
  (client, n) => {
    const file = { content: bytesOf("small"), modified: 0, mode: 0o777 };
    const files = ["/a/inner", `/a/small-${n % 8}`, `/z/deep/small-${n % 8}`].map((path) => ({ ...file, path }));
    return client.putSmall(files, { algorithm: "crc32", parents: true });
  },
  (client) => listed(client, "/a", false),
  (client) => listed(client, "/", true),
  (client) => client.stat("/a/inner"),
  (client) => client.hash("/a/deep/inner"),
  (client, n) => client.mkdir(`/a/folder-${n % 8}/deep`, { parents: true }),
  (client, n) => client.mkdir(`/z/folder-${n % 8}`),
  (client) => client.remove("/a/deep", { recursive: true }),
  (client) => client.remove("/a", { recursive: true }),
  (client, n) => client.remove(`/z/put-${n % 8}`),
  (client) => client.move("/a/inner", "/a/moved"),
  (client) => client.move("/a/inner", "/z/moved", { noReplace: true }),
  (client) => client.move("/z/deep", "/a/elsewhere"),
  (client) => client.touch("/a/inner", { mode: 0o777, modified: 0 }),
  (client, n) => client.symlink(`/a/link-${n % 8}`, "inner"),
  (client, n) => client.readLink(`/a/link-${n % 8}`),
];

async function listed(client: Client, path: string, recursive: boolean): Promise<void> {
  for await (const _page of client.list(path, { recursive })) { /* What came is looked at below. */ }
}

/** Does everything over and over until `ended`; answers how many times, and how many came to something. */
async function storm(port: number, ended: () => boolean): Promise<{ tried: number; done: number; escaped: boolean }> {
  const outcome = { tried: 0, done: 0, escaped: false };
  const transport = new TcpTransport();
  const connect = transport.connect.bind(transport);
  transport.connect = async (options) => watched(await connect(options), [SECRET, HIDDEN]);
  await Promise.all(Array.from({ length: SESSIONS }, async (_, session) => {
    const client = await Client.connect({ hostname: "127.0.0.1", port }, { transport });
    try {
      for (let n = session; !ended() && !outcome.escaped; n += SESSIONS) {
        outcome.tried += DEEDS.length;
        await Promise.all(DEEDS.map(async (deed) => {
          try {
            await deed(client, n);
            outcome.done++;
          } catch (error) {
            if (!(error instanceof FshError)) throw error;
            if (isError(error, "CONNECTION_LOST", "CONNECTION_RESET", "INTERNAL")) throw error;
          }
        }));
      }
    } catch (error) {
      // Bytes of outside came: the session was ended by whoever saw them.
      if (!String(error instanceof Error ? error.cause ?? error : error).includes("came from the server")) throw error;
      outcome.escaped = true;
    } finally {
      await client.close().catch(() => {});
    }
  }));
  return outcome;
}

const ARGS = ["--durability", "none", "--heartbeat", "off"];

Deno.test({
  name: "a folder exchanged for a link to outside, thousands of times while it is used, lets nothing out or in",
  // Checked paths can be led out so: ARCHITECTURE.md says what remains without the kernel's help.
  ignore: native().descriptors === null,
  async fn() {
    using outside = new Outside();
    await using swapper = await Swapper.start(outside);
    await using server = await ServerProcess.start({ folder: outside.served, args: ARGS });
    const end = performance.now() + SECONDS * 1000;
    const { tried, done, escaped } = await storm(server.port, () => performance.now() > end);
    const { swaps, seconds } = await swapper.stop();
    const rate = Math.round(swaps / seconds);
    console.log(
      `${rate} swaps a second for ${Math.round(seconds)} s; ${done} of ${tried} operations came to something`,
    );
    assert(!escaped);
    outside.assertUntouched();
    assertGreaterOrEqual(done, 100);
    assertGreaterOrEqual(rate, 1000);
  },
});

Deno.test({
  name: "the same without the jail is seen to read and to change what is outside",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using outside = new Outside();
    await using _swapper = await Swapper.start(outside);
    await using server = await ServerProcess.start({
      folder: outside.served,
      args: ARGS,
      env: { FSH_NATIVE: "off" },
      command: NAIVE,
    });
    const end = performance.now() + PATIENCE * 1000;
    const touched = new Set<string>();
    let escaped = false;
    while (performance.now() < end && !(escaped && touched.has("read") && touched.has("written"))) {
      const slice = performance.now() + 500;
      escaped ||= (await storm(server.port, () => performance.now() > slice)).escaped;
      for (const { mask } of outside.touched()) touched.add((mask & 0x21) !== 0 ? "read" : "written");
    }
    assert(escaped, "no byte of outside was seen to come");
    assert(touched.has("read") && touched.has("written"), `outside was only ${[...touched]}`);
  },
});
