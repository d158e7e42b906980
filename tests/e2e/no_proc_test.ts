import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { FSH, fsh, scratch, ServerProcess } from "../support/program.ts";
import { quicEnds } from "../support/scheme.ts";

const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;

function works(command: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** Mounts can be hidden from a process without anybody else noticing. */
const available = isRoot && works("unshare", "--mount", "true");

/** The words before a command that run it, in a mount namespace of its own, after a shell script. */
function after(script: string): string[] {
  return ["unshare", "--mount", "sh", "-c", `${script} && exec "$@"`, "sh"];
}

/** An empty folder over /proc, but for the executable's link to itself. */
const ONLY_EXE = `mount -t tmpfs tmpfs /proc && mkdir /proc/self && ln -s '${FSH}' /proc/self/exe`;

async function putAndGet(server: ServerProcess): Promise<void> {
  await using local = await scratch();
  const [small, large] = [`${local.path}/small`, `${local.path}/large`];
  await Deno.writeTextFile(small, "small");
  await Deno.writeFile(large, new Uint8Array(3_000_000).fill(7));
  const put = await fsh(["put", "-q", small, large, server.url]);
  assertEquals(put.code, 0, put.err);
  await Deno.mkdir(`${local.path}/back`);
  const got = await fsh(["get", "-q", "-r", server.url, `${local.path}/back`]);
  assertEquals(got.code, 0, got.err);
  assertEquals((await fsh(["ls", server.url])).out, "large\nsmall\n");
  await Deno.symlink("/etc", `${server.folder}/out`);
  const out = await fsh(["ls", `${server.url}out`]);
  assertEquals(out.code, 4, out.err);
  assertStringIncludes(out.err, "leads out of the served folder");
}

async function version(command: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const [program = "", ...before] = command;
  const child = new Deno.Command(program, { args: [...before, FSH, "version"], stdout: "piped", stderr: "piped" })
    .spawn();
  const [{ code }, out, err] = await Promise.all([child.status, toText(child.stdout), toText(child.stderr)]);
  return { code, out, err };
}

Deno.test({
  name: "without /proc/self/fd a server says that paths are only checked and why, and works",
  ignore: !available,
  async fn() {
    const command = after(ONLY_EXE);
    const told = await version(command);
    assertEquals(told.code, 0, told.err);
    assertMatch(told.out, /paths confined by the kernel: no; .*\/proc\/self\/fd is missing/);
    await using server = await ServerProcess.start({ command: [...command, FSH] });
    await server.logged(
      /warn paths are checked before use and not confined by the kernel.*\/proc\/self\/fd is missing/,
    );
    await putAndGet(server);
    assertEquals(server.log.match(/ warn /g)?.length, 1, server.log);
  },
});

Deno.test({
  name: "without any /proc the executable does not start, and says what is missing",
  ignore: !available,
  async fn() {
    const { code, err } = await version(after("mount -t tmpfs tmpfs /proc"));
    assertEquals(code, 1);
    assertStringIncludes(err, "Is /proc mounted?");
  },
});

Deno.test({
  name: "where the kernel refuses openat2 a server says so, and works",
  ignore: Deno.build.os !== "linux" || !works("strace", "-f", "-e", "inject=openat2:error=EPERM", "true"),
  async fn() {
    const strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2"];
    const command = [...strace, "-e", "inject=openat2:error=EPERM", FSH];
    await using server = await ServerProcess.start({ command });
    // strace passes no signal on.
    const children = await Deno.readTextFile(`/proc/${server.pid}/task/${server.pid}/children`);
    try {
      await server.logged(/the kernel or the container refuses openat2 \(openat2: EPERM\)/);
      await putAndGet(server);
    } finally {
      for (const child of children.trim().split(" ")) Deno.kill(Number(child), "SIGKILL");
    }
  },
});

Deno.test({
  name:
    "in a root with nothing but the executable, its libraries and /proc all is as ever; without /proc/self/fd it says so",
  ignore: !available || !works("chroot", "/", "true"),
  async fn() {
    await using place = await scratch();
    const root = `${place.path}/root`;
    for (const folder of ["proc", "srv", "tmp"]) await Deno.mkdir(`${root}/${folder}`, { recursive: true });
    await Deno.copyFile(FSH, `${root}/fsh`);
    for (const file of [...await libraries(), ...quicEnds?.files ?? []]) {
      await Deno.mkdir(`${root}${file.slice(0, file.lastIndexOf("/"))}`, { recursive: true });
      await Deno.copyFile(file, `${root}${file}`);
    }
    const mounts = {
      yes: `mount -t proc proc '${root}/proc'`,
      no: `mount -t tmpfs tmpfs '${root}/proc' && mkdir '${root}/proc/self' && ln -s /fsh '${root}/proc/self/exe'`,
    };
    for (const [confined, script] of Object.entries(mounts)) {
      // The server's own argument names the folder as it is seen from inside.
      const command = after(`mount --make-rprivate / && ${script} && mkdir -p '${root}${place.path}/served'`);
      await Deno.mkdir(`${place.path}/served`, { recursive: true });
      await Deno.mkdir(`${root}${place.path}/served`, { recursive: true });
      await using server = await ServerProcess.start({
        folder: `${place.path}/served`,
        command: [...command, "chroot", root, "/fsh"],
      });
      const local = `${place.path}/file`;
      await Deno.writeTextFile(local, confined);
      const put = await fsh(["put", "-q", local, server.url]);
      assertEquals(put.code, 0, put.err);
      assertEquals(await Deno.readTextFile(`${root}${place.path}/served/file`), confined);
      assertEquals((await fsh(["get", "-q", `${server.url}file`, "-"])).out, confined);
      assertEquals(/ warn paths are checked before use/.test(server.log), confined === "no", server.log);
    }
  },
});

/** The shared libraries of the executable, and what loads them (ldd(1)). */
async function libraries(): Promise<string[]> {
  const { stdout } = await new Deno.Command("ldd", { args: [FSH] }).output();
  return [...new TextDecoder().decode(stdout).matchAll(/(?:=> |^\s*)(\/\S+)/gm)].map(([, path]) => path ?? "");
}
