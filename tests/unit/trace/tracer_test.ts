import { assertEquals } from "@std/assert";
import { Tracer } from "../../../lib/trace/tracer.ts";
import { MemoryTransport } from "../../../lib/transport/memory.ts";
import type { Connection, Listener } from "../../../lib/transport/transport.ts";

Deno.test("what is traced has all that its transport, listener and connections have, in the state that it has it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "fsh-trace-" });
  try {
    const tracer = await Tracer.open({ pcap: `${folder}/pcap`, limit: 1000, content: 0, warn: () => {} });
    const memory = new MemoryTransport();
    const traced = tracer.over(memory);
    assertEquals(traced.scheme, memory.scheme);
    let listening: Listener & { more?: () => Listener } | null = null;
    const listen = memory.listen.bind(memory);
    memory.listen = async (options) => {
      const listener: Listener & { more?: () => Listener } = await listen(options);
      listener.more = function () {
        return this;
      };
      return listening = listener;
    };
    const listener: Listener & { more?: () => Listener } = await traced.listen({ hostname: "memory", port: 0 });
    assertEquals(listener.more?.() === listening, true);
    const accepting = listener.accept();
    const connection = await traced.connect({ hostname: "memory", port: listener.port, timeout: 1000 });
    const accepted = await accepting;
    for (const one of [connection, accepted]) {
      const optional: Partial<Connection> = one;
      assertEquals([optional.answersTo, optional.writeFile, optional.peerName], [undefined, undefined, undefined]);
      assertEquals(one.remote.includes(":"), true);
    }
    connection.close();
    accepted.close();
    listener.close();
    await tracer.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
