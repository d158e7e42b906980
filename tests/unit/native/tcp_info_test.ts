import { assert, assertEquals } from "@std/assert";
import { native } from "../../../lib/native/load.ts";
import { parseTcpInfo, TCP_INFO_SIZE } from "../../../lib/native/tcp_info.ts";
import type { SocketTuning } from "../../../lib/native/socket_tuning.ts";
import { TcpTransport } from "../../../lib/transport/tcp.ts";
import { type Connection, writeAll } from "../../../lib/transport/transport.ts";

const TUNING: SocketTuning = {
  keepAlive: { idle: 61, interval: 7, count: 4 },
  sendBuffer: 100_000,
  receiveBuffer: 50_000,
  noDelay: "on",
  backlog: 17,
  linger: null,
  userTimeout: 45_000,
};

async function pair(tuning: SocketTuning) {
  const transport = new TcpTransport(tuning);
  const listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
  const [near, far] = await Promise.all([
    transport.connect({ hostname: "127.0.0.1", port: listener.port, timeout: 5000 }),
    listener.accept(),
  ]);
  const close = () => [near, far, listener].forEach((one) => one.close());
  return { near, far, listener, [Symbol.dispose]: close };
}

const needsNative = { ignore: native().sockets === null };

Deno.test("every option is granted on both ends and reads back", needsNative, async () => {
  using ends = await pair(TUNING);
  for (const end of [ends.near, ends.far] as Connection[]) {
    const granted = end.inspect?.()?.granted;
    assert(granted);
    assertEquals(granted.keepAlive, { on: true, idle: 61, interval: 7, count: 4 });
    // The kernel doubles them (socket(7)).
    assertEquals([granted.sendBuffer, granted.receiveBuffer], [200_000, 100_000]);
    assertEquals([granted.noDelay, granted.cork], [true, false]);
    assertEquals([granted.linger, granted.userTimeout], [null, 45_000]);
    assertEquals([granted.congestion, granted.backlog], ["reno", null]);
  }
  const listening = ends.listener.inspect?.();
  assertEquals(listening?.backlog, 17);
  assertEquals([listening?.sendBuffer, listening?.receiveBuffer], [200_000, 100_000]);
});

Deno.test("keepalive off, Nagle on, a linger of nothing", needsNative, async () => {
  using ends = await pair({ ...TUNING, keepAlive: "off", noDelay: "off", linger: 0, userTimeout: null });
  const granted = ends.near.inspect?.()?.granted;
  assertEquals(granted?.keepAlive.on, false);
  assertEquals([granted?.noDelay, granted?.linger, granted?.userTimeout], [false, 0, null]);
});

Deno.test("TCP_INFO tells what went over a connection", needsNative, async () => {
  using ends = await pair(TUNING);
  const { near, far } = ends;
  const bytes = new Uint8Array(300_000);
  const into = new Uint8Array(1 << 16);
  let got = 0;
  await Promise.all([
    writeAll(near, bytes),
    (async () => {
      // The kernel counts what held the sender up by its own clock, of some milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 60));
      while (got < bytes.length) got += await far.read(into) ?? bytes.length;
    })(),
  ]);
  const [sender, receiver] = [near.inspect?.()?.info, far.inspect?.()?.info];
  assert(sender && receiver);
  assertEquals([sender.state, receiver.state], ["ESTABLISHED", "ESTABLISHED"]);
  // What meets a closed window may have to be sent again.
  assertEquals([sender.bytesSent - sender.bytesRetransmitted, receiver.bytesReceived], [300_000, 300_000]);
  assertEquals(sender.totalRetransmits > 0, sender.bytesRetransmitted > 0);
  for (const figure of [sender.rtt, sender.rto, sender.cwnd, sender.sendMss, sender.deliveryRate, sender.busyTime]) {
    assert(figure > 0, JSON.stringify(sender));
  }
  assert(sender.rtt < 10_000 && sender.minRtt !== null && sender.minRtt <= sender.rtt, JSON.stringify(sender));
  // A tenth of what is sent fits into the receiver's buffer.
  assert(sender.rwndLimited + sender.sndbufLimited > 0, JSON.stringify(sender));
  assert(sender.rwndLimited <= sender.busyTime && sender.sendWindow < 100_000, JSON.stringify(sender));
  near.close();
  assertEquals(near.inspect?.(), null);
});

Deno.test("what an older kernel gives is no TCP_INFO", () => {
  assertEquals(parseTcpInfo(new Uint8Array(TCP_INFO_SIZE - 1)), null);
  const bytes = new Uint8Array(TCP_INFO_SIZE).fill(0xff);
  const info = parseTcpInfo(bytes);
  assertEquals([info?.state, info?.ssthresh, info?.minRtt, info?.pacingRate], ["UNKNOWN", null, null, null]);
  assertEquals([info?.sendScale, info?.receiveScale], [15, 15]);
});
