// What only QUIC has: certificates as its errors tell them, an exchanged one, another protocol, too many at once.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { isSecure } from "../../lib/session/secure.ts";
import { quicEndsSent } from "../../lib/transport/quic_connection.ts";
import { QuicTransport } from "../../lib/transport/quic.ts";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import { type Connection, writeAll } from "../../lib/transport/transport.ts";
import { assertFails } from "../support/named_errors.ts";
import { bytesOf } from "../support/stored_files.ts";

const HOST = "127.0.0.1";
const DAY = 24 * 60 * 60 * 1000;
const identity = await makeSelfSigned({ names: [HOST] });

function trusting(certificate: string, hostname?: string): QuicTransport {
  return new QuicTransport({ anchor: { certificates: [certificate], ...(hostname ? { hostname } : {}) } });
}

async function told(near: Connection, far: Connection): Promise<string> {
  await writeAll(near, bytesOf("hello"));
  const buffer = new Uint8Array(5);
  for (let have = 0; have < 5;) have += await far.read(buffer.subarray(have)) ?? 5;
  return new TextDecoder().decode(buffer);
}

Deno.test("quic: an unknown, an expired and another host's certificate fail by name; a connection is secure", async () => {
  const to = new Date(Date.now() - DAY);
  const expired = await makeSelfSigned({ names: [HOST], from: new Date(to.getTime() - DAY), to });
  const elsewhere = await makeSelfSigned({ names: ["elsewhere.test"] });
  for (
    const [own, anchor, error] of [
      [identity, elsewhere, "CERTIFICATE_UNKNOWN"],
      [expired, expired, "CERTIFICATE_EXPIRED"],
      [elsewhere, elsewhere, "CERTIFICATE_NAME"],
    ] as const
  ) {
    const listener = await new QuicTransport({ identity: own }).listen({ hostname: HOST, port: 0 });
    const connecting = () => trusting(anchor.cert).connect({ hostname: HOST, port: listener.port, timeout: 5000 });
    const { subject } = await assertFails(connecting, error);
    assertEquals(subject, `${HOST}:${listener.port}`);
    listener.close();
  }
  const listener = await new QuicTransport({ identity }).listen({ hostname: HOST, port: 0 });
  const accepting = listener.accept();
  const near = await trusting(identity.cert).connect({ hostname: HOST, port: listener.port, timeout: 5000 });
  const far = await accepting;
  assertEquals([near.peerName, far.answersTo?.(`dns:${HOST}`), far.answersTo?.("dns:b")], [`dns:${HOST}`, true, false]);
  assertEquals([isSecure(near), isSecure(far)], [true, true]);
  for (const end of [near, far, listener]) end.close();
  await quicEndsSent();
});

Deno.test("quic: a certificate is exchanged under the clients' feet; who is there stays", async () => {
  const server = new QuicTransport({ identity });
  const listener = await server.listen({ hostname: HOST, port: 0 });
  const address = { hostname: HOST, port: listener.port, timeout: 5000 };
  const [near, far] = await Promise.all([trusting(identity.cert).connect(address), listener.accept()]);
  const other = await makeSelfSigned({ names: [HOST] });
  server.exchange(other);
  await assertFails(() => trusting(identity.cert).connect(address), "CERTIFICATE_UNKNOWN");
  const [newer, behind] = await Promise.all([trusting(other.cert).connect(address), listener.accept()]);
  assertEquals([await told(newer, behind), await told(near, far)], ["hello", "hello"]);
  for (const end of [near, far, newer, behind, listener]) end.close();
  await quicEndsSent();
});

Deno.test("quic: another protocol is refused by name", async () => {
  const endpoint = new Deno.QuicEndpoint({ hostname: HOST, port: 0 });
  const listener = endpoint.listen({ ...identity, alpnProtocols: ["h3"] });
  const taking = listener.accept().catch(() => {});
  const { port } = endpoint.addr;
  const connecting = () => trusting(identity.cert).connect({ hostname: HOST, port, timeout: 5000 });
  const error = await assertFails(connecting, "TLS_FAILED");
  assertStringIncludes(error.message, "not FSH/1");
  listener.stop();
  endpoint.close();
  await taking;
});

Deno.test("quic: who is one too many is refused, and may come when another has left", async () => {
  const listener = await new QuicTransport({ identity, most: 1 }).listen({ hostname: HOST, port: 0 });
  const address = { hostname: HOST, port: listener.port, timeout: 5000 };
  const [near, far] = await Promise.all([trusting(identity.cert).connect(address), listener.accept()]);
  const error = await assertFails(() => trusting(identity.cert).connect(address), "REFUSED");
  assertStringIncludes(error.message, "no more connections by QUIC");
  near.close();
  far.close();
  await quicEndsSent();
  const [again, behind] = await Promise.all([trusting(identity.cert).connect(address), listener.accept()]);
  for (const end of [again, behind, listener]) end.close();
  await quicEndsSent();
});
