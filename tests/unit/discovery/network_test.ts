import { assert, assertEquals } from "@std/assert";
import { systemNetwork } from "../../../lib/discovery/network.ts";

Deno.test("a link has its own addresses and none of another network, and the loopback is none", () => {
  for (const { name, addresses, has } of systemNetwork.links()) {
    for (const address of addresses) {
      assert(!/^127\.|^::1$|^fe80:/i.test(address), `${name} ${address}`);
      if (address.includes(":")) continue;
      assert(has(address), `${name} ${address}`);
      const [first = "", ...others] = address.split(".");
      for (const changed of [1, 128]) {
        assertEquals(has([Number(first) ^ changed, ...others].join(".")), false, `${name} ${address} ^ ${changed}`);
      }
    }
  }
});
