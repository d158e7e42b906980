import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import { type Link, type LinkSocket, systemNetwork } from "../../../lib/discovery/network.ts";
import { assertFails } from "../../support/named_errors.ts";
import { eventually } from "../../support/program.ts";

const LOOPBACK: Link = {
  name: "lo",
  family: "IPv4",
  addresses: ["127.0.0.1"],
  own: "127.0.0.1",
  state: "lo",
  has: (address) => address === "127.0.0.1",
};
/** Elsewhere the loopback may carry no multicast, and ports may be shared by other rules. */
const ignore = Deno.build.os !== "linux";

/** Null where the port can't be had. */
function bound(hostname: string, { port, shared }: { port: number; shared: boolean }): Promise<dgram.Socket | null> {
  const socket = dgram.createSocket({ type: "udp4", reuseAddr: shared });
  return new Promise((resolve) => {
    socket.once("error", () => (socket.close(), resolve(null)));
    socket.bind(port, hostname, () => resolve(socket));
  });
}

function open(link: Link, heard: string[]): Promise<LinkSocket> {
  return systemNetwork.open(link, {
    heard: (bytes) => void heard.push(new TextDecoder().decode(bytes)),
    broken: () => {},
  });
}

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

Deno.test({
  name: "a socket hears the group on its link, and neither other networks nor other ports nor what is for one alone",
  ignore,
  async fn() {
    const [near, far]: [string[], string[]] = [[], []];
    const [one, other] = [await open(LOOPBACK, near), await open({ ...LOOPBACK, has: () => false }, far)];
    const [stranger, neighbour] = [
      await bound("127.0.0.1", { port: 0, shared: false }),
      await bound("127.0.0.1", { port: 5353, shared: true }),
    ];
    assert(stranger && neighbour);
    stranger.setMulticastInterface("127.0.0.1");
    const marked = `${Deno.pid}`;
    const say = (by: dgram.Socket, to: string) =>
      new Promise<void>((resolve) => by.send(Buffer.from(`${marked} to ${to}`), 5353, to, () => resolve()));
    await say(stranger, "224.0.0.251");
    // Another address of the loopback, which nobody listens on.
    await say(neighbour, "127.0.0.2");
    one.rejoin();
    await one.send(new Uint8Array(1473).fill(0x78));
    await one.send(new TextEncoder().encode(`${marked} said`));
    await eventually("what was said", 5000, () => near.includes(`${marked} said`));
    assertEquals(near.filter((text) => text.startsWith(marked) || text.startsWith("xxx")), [`${marked} said`]);
    assertEquals(far, []);
    stranger.close();
    neighbour.close();
    for (const socket of [one, one, other]) socket.close();
    await one.send(new Uint8Array(1));
  },
});

Deno.test({
  name: "a port that another program does not share is an error that says so",
  ignore,
  async fn() {
    const holder = await bound("0.0.0.0", { port: 5353, shared: false });
    // On a machine where somebody shares the port already, nobody can have it alone.
    if (holder === null) return;
    try {
      await assertFails(() => open(LOOPBACK, []), "ADDRESS_IN_USE");
    } finally {
      holder.close();
    }
  },
});
