import { assertEquals } from "@std/assert";
import { ALL_RIGHTS, type Right } from "../../../lib/base/rights.ts";
import { SUBCOMMANDS } from "../../../lib/cli/main.ts";
import { RIGHTS, rightsOf } from "../../../lib/cli/rights.ts";
import { native } from "../../../lib/native/load.ts";

Deno.test("every subcommand has a row, every row a subcommand", () => {
  assertEquals(Object.keys(RIGHTS).sort(), SUBCOMMANDS.map(({ name }) => name).sort());
});

Deno.test("all permissions are kept only where files are opened by descriptors; without them what the row says", () => {
  for (const [name, { keeps, confined }] of Object.entries(RIGHTS)) {
    const all = confined === true && native().descriptors !== null;
    assertEquals(rightsOf(name), all ? ALL_RIGHTS : keeps, name);
    assertEquals(keeps.includes("import"), false, name);
    assertEquals(keeps.includes("ffi"), name === "serve", name);
  }
});

Deno.test("programs are started only where plugins are", () => {
  const able = Object.entries(RIGHTS).filter(([, { keeps }]) => keeps.includes("run")).map(([name]) => name);
  assertEquals(able, ["serve", "explain", "plugin"]);
});

Deno.test("a name that is no subcommand keeps nothing", () => {
  for (const name of ["", "nothing", "toString", "__proto__"]) assertEquals(rightsOf(name), []);
});

/** What of each kind still works in a process that kept so much. */
async function workingWith(kept: readonly Right[]): Promise<string[]> {
  const rights = new URL("../../../lib/base/rights.ts", import.meta.url).href;
  const code = `
    import { keepOnly, rightsNow } from ${JSON.stringify(rights)};
    keepOnly(${JSON.stringify(kept)});
    const attempts = {
      read: () => Deno.readDirSync("."),
      write: () => Deno.writeTextFileSync("written", ""),
      net: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
      env: () => Deno.env.get("HOME"),
      sys: () => Deno.hostname(),
      run: () => new Deno.Command(${JSON.stringify(Deno.execPath())}, { args: ["--version"] }).outputSync(),
      ffi: () => Deno.dlopen("libc.so.6", {}),
    };
    const works = Object.keys(attempts).filter((name) => {
      try {
        attempts[name]();
        return true;
      } catch (error) {
        if (error instanceof Deno.errors.NotCapable) return false;
        throw error;
      }
    });
    console.log(JSON.stringify({ works, now: rightsNow() }));`;
  const cwd = await Deno.makeTempDir();
  try {
    const args = ["run", "--quiet", "--no-prompt", "--no-config", "--allow-all", "--ext=js", "-"];
    const child = new Deno.Command(Deno.execPath(), { args, cwd, stdin: "piped", stdout: "piped" }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(code));
    await writer.close();
    const { works, now } = JSON.parse(new TextDecoder().decode((await child.output()).stdout));
    assertEquals(now, ALL_RIGHTS.filter((name) => kept.includes(name)));
    return works;
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("what was given up is refused, what was kept works", async () => {
  assertEquals(await workingWith([]), []);
  assertEquals(await workingWith(["net", "env", "read"]), ["read", "net", "env"]);
  const all = ALL_RIGHTS.filter((name) => name !== "import" && (name !== "ffi" || Deno.build.os === "linux"));
  assertEquals(await workingWith(ALL_RIGHTS), all);
});
