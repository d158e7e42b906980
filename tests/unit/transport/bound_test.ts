import { assert, assertEquals } from "@std/assert";
import { BoundTransport } from "../../../lib/transport/bound.ts";
import { TcpTransport } from "../../../lib/transport/tcp.ts";
import { assertFails } from "../../support/named_errors.ts";

Deno.test("who connects before the server accepts waits for it", async () => {
  const tcp = new TcpTransport();
  using bound = await BoundTransport.bind(tcp, { hostname: "127.0.0.1", port: 0 });
  const early = await tcp.connect({ hostname: "127.0.0.1", port: bound.listener.port, timeout: 5000 });
  const listener = await bound.listen();
  assert(listener === bound.listener);
  const accepted = await listener.accept();
  assertEquals(accepted.remote, early.local);
  early.close();
  accepted.close();
});

Deno.test("it lets go of the port at the end of its scope, also where the listener was closed before", async () => {
  const tcp = new TcpTransport();
  let port = 0;
  for (const close of [false, true]) {
    {
      using bound = await BoundTransport.bind(tcp, { hostname: "127.0.0.1", port });
      port = bound.listener.port;
      if (close) bound.listener.close();
      else await assertFails(() => BoundTransport.bind(tcp, { hostname: "127.0.0.1", port }), "ADDRESS_IN_USE");
    }
  }
  await assertFails(() => tcp.connect({ hostname: "127.0.0.1", port, timeout: 5000 }), "REFUSED");
});
