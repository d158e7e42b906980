import { assert, assertEquals } from "@std/assert";
import { systemNetwork } from "../../../lib/discovery/network.ts";

Deno.test("a link has its own addresses and none of another network, and the loopback is none", () => {
  for (const { name, family, addresses, has } of systemNetwork.links()) {
    if (family === "IPv6") assertEquals([has("fe80::1"), has("2001:db8::1")], [true, false], name);
    for (const address of addresses) {
      assert(!/^127\.|^::1$|^fe80:/i.test(address), `${name} ${address}`);
      if (family === "IPv6" || address.includes(":")) continue;
      assert(has(address), `${name} ${address}`);
      const [first = "", ...others] = address.split(".");
      for (const changed of [1, 128]) {
        assertEquals(has([Number(first) ^ changed, ...others].join(".")), false, `${name} ${address} ^ ${changed}`);
      }
    }
  }
});
