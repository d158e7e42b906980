import { assertEquals } from "@std/assert";
import { peerAddress } from "../../../lib/server/peer_address.ts";

for (
  const [remote, key, local] of [
    ["192.0.2.7:4000", "192.0.2.7", false],
    ["127.0.0.1:4000", "127.0.0.1", true],
    ["127.9.9.9:1", "127.9.9.9", true],
    ["[::ffff:192.0.2.7]:1", "192.0.2.7", false],
    ["[::ffff:127.0.0.1]:1", "127.0.0.1", true],
    ["[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64", false],
    ["[2001:DB8:1:2::9]:443", "2001:db8:1:2::/64", false],
    ["[2001:db8::9]:443", "2001:db8:0:0::/64", false],
    ["[fe80::1]:443", "fe80:0:0:0::/64", false],
    ["[::1]:1", "0:0:0:0::/64", true],
    ["[1::]:1", "1:0:0:0::/64", false],
    ["memory:49152", "memory", true],
    ["", "", true],
  ] as const
) {
  Deno.test(`${remote || "nothing"} counts as ${key || "nothing"}`, () => {
    assertEquals(peerAddress(remote), { key, local });
  });
}
