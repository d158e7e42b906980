import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { native } from "../../../lib/native/load.ts";

const peers = native().localPeers;

Deno.test({ name: "who connects to a Unix socket is told, each connection once", ignore: peers === null }, async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "socket");
  try {
    using listener = Deno.listen({ transport: "unix", path });
    assertEquals(peers?.newest(path), null, "the listener itself is nobody");
    const own = { pid: Deno.pid, uid: Deno.uid() };
    using _first = await Deno.connect({ transport: "unix", path });
    using _one = await listener.accept();
    const found = peers?.newest(path);
    assertEquals(found?.peer, own);
    assertEquals(peers?.newest(path), null, "it was told already");
    using _second = await Deno.connect({ transport: "unix", path });
    using _two = await listener.accept();
    const other = peers?.newest(path);
    assertEquals(other?.peer, own);
    found?.release();
    const again = peers?.newest(path);
    assertEquals(again?.peer, own, "its descriptor may be another's by now");
    other?.release();
    again?.release();
    assertEquals(peers?.newest(join(folder, "other")), null);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({ name: "another process is told by its own number", ignore: peers === null }, async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "socket");
  try {
    using listener = Deno.listen({ transport: "unix", path });
    const code = `const c = await Deno.connect({ transport: "unix", path: ${JSON.stringify(path)} });
      await c.read(new Uint8Array(1));`;
    const args = ["eval", "--ext=js", code];
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
    {
      using _connection = await listener.accept();
      const found = peers?.newest(path);
      assertEquals(found?.peer.pid, child.pid);
      found?.release();
    }
    await child.status;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
