import { assert, assertEquals } from "@std/assert";
import { createSocket } from "node:dgram";
import { LinuxSocketTable, parseSocketLine } from "../../../lib/native/linux_socket_table.ts";

Deno.test("a line of /proc/net/tcp, field by field", () => {
  const parse = (line: string) => parseSocketLine(line, "tcp");
  const listening =
    "   3: 0100007F:1CCE 00000000:0000 0A 00000000:00000005 00:00000000 00000000  1000        0 4711 1 " +
    "000000004b2ce6db 100 0 0 10 0";
  assertEquals(parse(listening), {
    inode: 4711,
    row: {
      protocol: "tcp",
      state: "LISTEN",
      local: "127.0.0.1:7374",
      remote: null,
      sendQueue: 0,
      receiveQueue: 5,
      timer: null,
    },
  });
  const resending = "  12: 0100007F:1CCE 0200000A:C350 01 0000FF00:0000001A 01:00000064 00000003     0        0 42 2 " +
    "0000000000000000 20 4 30 10 -1";
  assertEquals(parse(resending)?.row, {
    protocol: "tcp",
    state: "ESTAB",
    local: "127.0.0.1:7374",
    remote: "10.0.0.2:50000",
    sendQueue: 65280,
    receiveQueue: 26,
    timer: { name: "retransmit", seconds: 1, count: 3 },
  });
  const probing = resending.replace("01:00000064 00000003     0        0", "04:00000001 00000000     0        2");
  assertEquals(parse(probing)?.row.timer, { name: "window-probe", seconds: 0.01, count: 2 });
});

Deno.test("addresses of IPv6 as the runtime writes them", () => {
  const local = (address: string) => {
    const line = `0: ${address}:1CCE ${"0".repeat(32)}:0000 07 0:0 00:0 0 0 0 9 1`;
    return parseSocketLine(line, "udp")?.row.local;
  };
  assertEquals(local("00000000000000000000000001000000"), "[::1]:7374");
  assertEquals(local("00000000000000000000000000000000"), "[::]:7374");
  assertEquals(local("0000000000000000FFFF00000100007F"), "[::ffff:127.0.0.1]:7374");
  assertEquals(local("B80D0120000000000000000001000000"), "[2001:db8::1]:7374");
});

Deno.test("what is no such line is passed over", () => {
  for (const line of ["", "  sl  local_address rem_address", "0: 1 2 3"]) {
    assertEquals(parseSocketLine(line, "tcp"), null);
  }
});

Deno.test({
  name: "the table has this process's sockets with what waits in them, and nobody else's",
  ignore: Deno.build.os !== "linux",
}, async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    using listener = Deno.listen({ hostname, port: 0 });
    const { port } = listener.addr;
    using client = await Deno.connect({ hostname, port });
    await client.write(new Uint8Array(1000));
    const [waiting] = await listed(port);
    assertEquals([waiting?.state, waiting?.receiveQueue, waiting?.remote], ["LISTEN", 1, null]);
    using server = await listener.accept();
    const own = server.remoteAddr as Deno.NetAddr;
    const rows = await listed(port);
    const name = (at: number) => hostname === "::1" ? `[::1]:${at}` : `${hostname}:${at}`;
    const accepted = rows.find(({ local, remote }) => local === name(port) && remote === name(own.port));
    assertEquals([accepted?.state, accepted?.receiveQueue], ["ESTAB", 1000]);
    assert(rows.some(({ local, remote }) => local === name(own.port) && remote === name(port)));
  }
  const bound = createSocket("udp4");
  await new Promise<void>((resolve) => bound.bind(0, "127.0.0.1", () => resolve()));
  const { port } = bound.address();
  assertEquals((await listed(port)).map(({ protocol, state }) => [protocol, state]), [["udp", "UNCONN"]]);
  await new Promise<void>((resolve) => void bound.close(() => resolve()));
});

async function listed(port: number) {
  return (await new LinuxSocketTable().list()).filter(({ local, remote }) =>
    local.endsWith(`:${port}`) || remote?.endsWith(`:${port}`)
  );
}
