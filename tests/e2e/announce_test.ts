import { assertEquals, assertStringIncludes } from "@std/assert";
import { fsh, scratch } from "../support/program.ts";

Deno.test("what can't be announced or searched is wrong usage, and nothing is served", async () => {
  await using folder = await scratch();
  const exposed = ["--host", "0.0.0.0", "--insecure"];
  for (
    const [args, ...words] of [
      [["serve", folder.path, "--port", "0", "--announce", "office"], "--announce office", "127.0.0.1", "--host"],
      [["serve", folder.path, "--port", "0", ...exposed, "--announce", "a.b"], "--announce a.b", "dots"],
      [["serve", folder.path, "--port", "0", ...exposed, "--announce", "x".repeat(64)], "63 bytes"],
      [["serve", folder.path, "--port", "0", ...exposed, "--announce", "a\x1b"], "--announce a\\x1b", "control"],
      [["serve", folder.path, "--port", "0", ...exposed, "--announce", ""], "--announce needs a value"],
      [["discover", "--time", "off"], "--time off"],
      [["discover", "--time", "soon"], "--time soon"],
      [["discover", "fsh://127.0.0.1/"], "one argument too many"],
    ] as const
  ) {
    const { code, out, err } = await fsh(args);
    assertEquals([code, out], [2, ""], args.join(" "));
    for (const word of words) assertStringIncludes(err, word);
  }
});
