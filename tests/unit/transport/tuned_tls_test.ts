import { assertEquals } from "@std/assert";
import { native } from "../../../lib/native/load.ts";
import { makeSelfSigned } from "../../../lib/transport/self_signed.ts";
import { TlsTransport } from "../../../lib/transport/tls.ts";
import { DEFAULT_TUNING } from "../../../lib/transport/tuning.ts";

Deno.test({
  name: "a TLS listener is tuned, and again after its certificate was exchanged",
  ignore: native().sockets === null,
  async fn() {
    const identity = await makeSelfSigned({ names: ["127.0.0.1"] });
    const transport = new TlsTransport({ identity, tuning: { ...DEFAULT_TUNING, backlog: 23, receiveBuffer: 70_000 } });
    const listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
    try {
      for (let i = 0; i < 2; i++) {
        const granted = listener.inspect?.();
        assertEquals([granted?.backlog, granted?.receiveBuffer], [23, 140_000]);
        await transport.exchange(await makeSelfSigned({ names: ["127.0.0.1"] }));
      }
    } finally {
      listener.close();
    }
    assertEquals(listener.inspect?.(), null);
  },
});
