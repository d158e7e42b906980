import { assertEquals } from "@std/assert";
import { FshError } from "../../../lib/base/errors.ts";
import { Stream } from "../../../lib/session/stream.ts";
import type { MessageOf } from "../../../lib/wire/codec.ts";
import { assertFails } from "../../support/named_errors.ts";
import { RecordingHost } from "../../support/recording_host.ts";

function stream(host: RecordingHost, side: "client" | "server"): Stream {
  const window = 64 * 1024;
  return new Stream(host, { id: 1, sendWindow: window, receiveWindow: window, waitsForPeer: side === "server" });
}

const info: MessageOf<"INFO"> = {
  name: "INFO",
  stream: 1,
  fin: true,
  fields: { type: "file", size: 1, modified: null, mode: null, offset: 0 },
};

Deno.test("a stream is over once both sides have sent their last frame and it was taken, and says so once", async () => {
  const host = new RecordingHost();
  const one = stream(host, "client");
  await one.send("STAT", { path: "/" }, { fin: true });
  assertEquals(host.ended, []);
  one.receiveMessage(info, 21);
  assertEquals(host.ended, []);
  assertEquals((await one.next()).name, "INFO");
  assertEquals(host.ended, [1]);
  one.cancel(new FshError("CANCELLED"));
  one.conclude();
  one.sever(new FshError("CONNECTION_LOST"));
  assertEquals([host.ended, host.urged.length], [[1], 0]);
});

Deno.test("cancel takes back what waits, tells the peer why, and rejects whoever waits", async () => {
  const host = new RecordingHost();
  const one = stream(host, "client");
  await one.send(
    "GET",
    { path: "/", offset: 0, length: null, algorithm: "none", prefix: new Uint8Array(), options: 0, priority: 1 },
    { fin: true },
  );
  const next = one.next();
  one.cancel(new FshError("INTERRUPTED"));
  await assertFails(() => next, "INTERRUPTED");
  assertEquals<unknown>(host.urged.map(({ name, fields }) => ({ name, fields })), [
    { name: "CANCEL", fields: { code: 5 } },
  ]);
  await assertFails(() => one.next(), "INTERRUPTED");
  await assertFails(() => one.send("STAT", { path: "/" }), "INTERRUPTED");
});

Deno.test("a request cancelled before it went out leaves no trace: the peer never heard of its stream", async () => {
  const host = new RecordingHost();
  host.held = true;
  const one = stream(host, "client");
  const sending = one.send("STAT", { path: "/" }, { fin: true });
  one.cancel(new FshError("CANCELLED"));
  await assertFails(() => sending, "CANCELLED");
  assertEquals([host.urged.length, host.ended], [0, [1]]);
});

Deno.test("a server's cancel reaches the client although the server has sent nothing", () => {
  const host = new RecordingHost();
  stream(host, "server").cancel(new FshError("UNEXPECTED_FRAME"));
  assertEquals(host.urged.map((message) => message.name), ["CANCEL"]);
});

Deno.test("a failed command tells the peer by an ERROR on its stream, once", () => {
  const host = new RecordingHost();
  const one = stream(host, "server");
  one.fail(new FshError("NOT_FOUND", { subject: "/a" }));
  one.fail(new FshError("EXISTS"));
  assertEquals([host.urged.map((message) => message.name), host.ended], [["ERROR"], [1]]);
});

Deno.test("the peer's error ends a stream and is what the command sees", async () => {
  const host = new RecordingHost();
  const one = stream(host, "client");
  const next = one.next();
  one.receiveError(new FshError("NOT_FOUND", { remote: true }));
  assertEquals((await assertFails(() => next, "NOT_FOUND")).remote, true);
  assertEquals(host.urged, []);
});

Deno.test("a stall counts from when the command began to wait for the peer", async () => {
  const host = new RecordingHost();
  const server = stream(host, "server");
  host.time = 5000;
  assertEquals(server.hasStalled(1000, 0), false);
  const next = server.next();
  host.time = 6000;
  assertEquals(server.hasStalled(1000, 0), false);
  host.time = 6001;
  assertEquals(server.hasStalled(1000, 0), true);
  server.sever(new FshError("CONNECTION_LOST"));
  await assertFails(() => next, "CONNECTION_LOST");
  assertEquals(server.hasStalled(1000, 0), false);
});

Deno.test("DATA that no command has asked for breaks the protocol", async () => {
  const host = new RecordingHost();
  const one = stream(host, "client");
  const next = one.next();
  one.receiveData(Uint8Array.of(1), 0);
  assertEquals(host.breaches.map((error) => error.error), ["UNEXPECTED_FRAME"]);
  one.sever(new FshError("UNEXPECTED_FRAME"));
  await assertFails(() => next, "UNEXPECTED_FRAME");
});

Deno.test("a sink that fails is heard of by whoever drains", async () => {
  const one = stream(new RecordingHost(), "server");
  const thrown = one.drain(() => {
    throw new FshError("NO_SPACE");
  });
  one.receiveData(Uint8Array.of(1), 0);
  await assertFails(() => thrown, "NO_SPACE");
  const rejected = one.drain(() => Promise.reject(new FshError("TOO_LARGE")));
  one.receiveData(Uint8Array.of(1), 0);
  await assertFails(() => rejected, "TOO_LARGE");
});

Deno.test("whoever waits for a frame after the peer's last one is told so rather than left waiting", async () => {
  const one = stream(new RecordingHost(), "client");
  one.receiveMessage(info, 21);
  assertEquals((await one.next()).name, "INFO");
  await assertFails(() => one.next(), "UNEXPECTED_FRAME");
});
