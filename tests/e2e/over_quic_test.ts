// Some of the other tests once more, over QUIC. All of them: scripts/deno task test:quic.
import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import { quicEnds } from "../support/scheme.ts";

const FILES = ["transfer_test.ts", "integrity_test.ts", "resume_test.ts", "tree_test.ts"];
const TESTS = [
  "the executable alone, in an empty folder",
  "trees go both ways",
  "a byte that flips on the way of a put of 300000",
  "a connection that is cut in mid-transfer",
];

Deno.test({
  name: "over QUIC the same holds",
  ignore: quicEnds !== null,
  async fn() {
    const folder = dirname(fromFileUrl(import.meta.url));
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "--quiet",
        "--no-check",
        "--allow-all",
        "--filter",
        `/${TESTS.join("|")}/`,
        ...FILES.map((file) => join(folder, file)),
      ],
      env: { FSH_TEST_SCHEME: "fshq", NO_COLOR: "1" },
      stderr: "inherit",
    }).output();
    const report = new TextDecoder().decode(stdout);
    assertEquals(code, 0, report);
    assertGreaterOrEqual(Number(/(\d+) passed/.exec(report)?.[1] ?? 0), TESTS.length, report);
  },
});
