// The end-to-end tests over QUIC: all of them, or the files that are named. What is about TCP is ignored, and says why.
import { makeIdentityFolder, SHARED } from "../tests/support/quic_ends.ts";

const folder = await makeIdentityFolder();
// A terminal interrupts the tests as well, whose end is waited for.
Deno.addSignalListener("SIGINT", () => {});
try {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--parallel", ...(Deno.args.length > 0 ? Deno.args : ["tests/e2e"])],
    env: { FSH_TEST_SCHEME: "fshq", [SHARED]: folder },
  }).spawn().status;
  Deno.exitCode = code;
} finally {
  await Deno.remove(folder, { recursive: true });
}
Deno.exit();
