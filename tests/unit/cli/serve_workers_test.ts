import { assertEquals, assertMatch } from "@std/assert";
import { whySinglePort } from "../../../lib/cli/serve_workers.ts";

/** A system on which a port can't have two listeners. */
const exclusive =
  ((options: Deno.TcpListenOptions) => Deno.listen({ ...options, reusePort: false })) as typeof Deno.listen;

Deno.test({ name: "several loops need a port that they can share", ignore: Deno.build.os !== "linux" }, () => {
  assertEquals(whySinglePort(), null);
  assertMatch(whySinglePort({ os: "linux", listen: exclusive }) ?? "", /^SO_REUSEPORT does not work: .*in use/i);
});

Deno.test("where the system does not spread connections over the listeners of a port one loop serves", () => {
  for (const os of ["darwin", "windows", "freebsd"]) {
    assertMatch(whySinglePort({ os, listen: Deno.listen }) ?? "", /on Linux only/);
  }
});
