// What only TLS has: peers that do not speak it, cut it off, want another protocol, or never finish the handshake.
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { isError, toFshError } from "../../lib/base/errors.ts";
import { isSecure } from "../../lib/session/secure.ts";
import { probeCertificate } from "../../lib/transport/probe.ts";
import { makeSelfSigned } from "../../lib/transport/self_signed.ts";
import { TlsTransport } from "../../lib/transport/tls.ts";
import { type Connection, writeAll } from "../../lib/transport/transport.ts";
import { assertFails } from "../support/named_errors.ts";
import { Proxy } from "../support/proxy.ts";
import { bytesOf } from "../support/stored_files.ts";

const HOST = "127.0.0.1";
const identity = await makeSelfSigned({ names: [HOST] });
const other = await makeSelfSigned({ names: [HOST] });
const trusting = (certificate: string) => new TlsTransport({ anchor: { certificates: [certificate] } });

const probe = (port: number) => probeCertificate({ hostname: HOST, port, timeout: 5000 });

function close(...ends: { close(): void }[]): void {
  for (const end of ends) end.close();
}

async function greeted(near: Connection, far: Connection): Promise<string> {
  await writeAll(near, bytesOf("hello"));
  const buffer = new Uint8Array(5);
  for (let have = 0; have < 5;) have += await far.read(buffer.subarray(have)) ?? 5;
  return new TextDecoder().decode(buffer);
}

Deno.test("tls: a connection is secure, and no file goes through it unseen", async () => {
  const listener = await new TlsTransport({ identity }).listen({ hostname: HOST, port: 0 });
  const accepting = listener.accept();
  const near = await trusting(identity.cert).connect({ hostname: HOST, port: listener.port, timeout: 5000 });
  const far = await accepting;
  assertEquals([near, far].map((end) => [end.secure, isSecure(end), end.writeFile]), [
    [true, true, undefined],
    [true, true, undefined],
  ]);
  close(near, far, listener);
});

Deno.test("tls: a cut is no end", async () => {
  const listener = await new TlsTransport({ identity }).listen({ hostname: HOST, port: 0 });
  await using proxy = new Proxy(listener.port);
  const accepting = listener.accept();
  const near = await trusting(identity.cert).connect({ hostname: HOST, port: proxy.port, timeout: 5000 });
  const far = await accepting;
  assertEquals(await greeted(near, far), "hello");
  proxy.cut();
  for (const end of [near, far]) await assertFails(() => end.read(new Uint8Array(1)), "CONNECTION_RESET");
  close(near, far, listener);
});

Deno.test("tls: strangers fail by name and hold up nobody: plain text, another protocol or none, silence", async () => {
  const listener = await new TlsTransport({ identity }).listen({ hostname: HOST, port: 0 });
  const { port } = listener;
  const accepted: Connection[] = [];
  const accepting = (async () => {
    for (;;) accepted.push(await listener.accept());
  })().catch(() => {});
  const silent = await Promise.all(Array.from({ length: 20 }, () => Deno.connect({ hostname: HOST, port })));
  const plain = await Deno.connect({ hostname: HOST, port });
  await plain.write(bytesOf("FSH/1\r\n"));
  const unnamed = await Deno.connectTls({ hostname: HOST, port, caCerts: [identity.cert] });
  await unnamed.handshake();
  const web = await Deno.connectTls({ hostname: HOST, port, caCerts: [identity.cert], alpnProtocols: ["h2"] });
  await web.handshake().catch(() => {});

  const near = await trusting(identity.cert).connect({ hostname: HOST, port, timeout: 5000 });
  await writeAll(near, bytesOf("hello"));
  const outcomes = await Promise.all(
    accepted.slice(20).map(async (connection) => {
      const buffer = new Uint8Array(5);
      return await connection.read(buffer).then(() => new TextDecoder().decode(buffer), (error) => {
        assertEquals(isError(error, "TLS_FAILED"), true, String(error));
        return String(error);
      });
    }),
  );
  assertEquals(outcomes.length, 4);
  assertEquals(outcomes.filter((one) => one === "hello").length, 1);
  for (const says of ["does not speak TLS", "did not ask for FSH/1", "any known protocol"]) {
    assertStringIncludes(outcomes.join("\n"), says);
  }
  close(listener, plain, unnamed, web, near, ...silent, ...accepted);
  await accepting;
});

Deno.test("tls: a server that shows another certificate, or speaks another protocol, is not the one", async () => {
  const listener = Deno.listenTls({ hostname: HOST, port: 0, ...identity });
  const { port } = listener.addr;
  const taken: Deno.TlsConn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) taken.push(connection);
  })().catch(() => {});
  const connect = (certificate: string) => trusting(certificate).connect({ hostname: HOST, port, timeout: 5000 });
  await assertFails(() => connect(other.cert), "CERTIFICATE_UNKNOWN");
  const error = await assertFails(() => connect(identity.cert), "TLS_FAILED");
  assertStringIncludes(error.message, "not FSH/1");
  close(listener, ...taken);
  await accepting;
});

Deno.test("tls: who is cut off in the handshake, or finds nobody, may try again; with or without a look before", async () => {
  for (const how of ["at once", "after the first message"] as const) {
    const listener = Deno.listen({ hostname: HOST, port: 0 });
    const { port } = listener.addr;
    const cutting = (async () => {
      for await (const connection of listener) {
        if (how === "after the first message") await connection.read(new Uint8Array(4096)).catch(() => null);
        connection.close();
      }
    })();
    for (
      const attempt of [() => new TlsTransport().connect({ hostname: HOST, port, timeout: 5000 }), () => probe(port)]
    ) {
      const error = toFshError(await assertRejects(attempt));
      assertEquals(
        [isError(error, "CONNECTION_LOST", "CONNECTION_RESET"), error.retryable],
        [true, true],
        error.message,
      );
      if (error.error === "CONNECTION_LOST") assertStringIncludes(error.message, "TLS handshake");
    }
    listener.close();
    await cutting;
    await assertFails(() => probe(port), "REFUSED");
  }
});

Deno.test("tls: a server that answers in plain text is told apart from one that was cut off", async () => {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = listener.addr;
  const answering = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4096)).catch(() => null);
      await connection.write(bytesOf("220 ready when you are\r\n"));
      connection.close();
    }
  })();
  const error = await assertFails(
    () => new TlsTransport().connect({ hostname: HOST, port, timeout: 5000 }),
    "TLS_FAILED",
  );
  assertStringIncludes(error.message, "not TLS");
  await assertFails(() => probe(port), "TLS_FAILED");
  listener.close();
  await answering;
});

Deno.test("tls: a silent server is given up, an interrupt ends the handshake", async () => {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = listener.addr;
  const impatient = new TlsTransport({ handshakeTimeout: 100 });
  await assertFails(() => impatient.connect({ hostname: HOST, port, timeout: 5000 }), "HANDSHAKE_TIMEOUT");
  const controller = new AbortController();
  const { signal } = controller;
  const interrupted = new TlsTransport().connect({ hostname: HOST, port, timeout: 5000, signal });
  controller.abort();
  await assertFails(() => interrupted, "INTERRUPTED");
  listener.close();
});

Deno.test("tls: an exchanged certificate counts for new connections; one that is none changes nothing", async () => {
  const transport = new TlsTransport({ identity });
  const listener = await transport.listen({ hostname: HOST, port: 0 });
  const { port } = listener;
  const accepted: Connection[] = [];
  const accepting = (async () => {
    for (;;) accepted.push(await listener.accept());
  })().catch(() => {});
  const connect = (certificate: string) => trusting(certificate).connect({ hostname: HOST, port, timeout: 5000 });
  const before = await connect(identity.cert);
  for (const broken of [{ ...identity, key: other.key }, { ...identity, cert: "rubbish" }, { ...identity, key: "" }]) {
    await assertFails(() => transport.exchange(broken), "CERTIFICATE_UNUSABLE");
  }
  close(await connect(identity.cert));
  await Promise.all([transport.exchange(identity), transport.exchange(other)]);
  await assertFails(() => connect(identity.cert), "CERTIFICATE_UNKNOWN");
  const after = await connect(other.cert);
  const [first] = accepted;
  assertEquals(first && await greeted(before, first), "hello");
  assertEquals(await greeted(after, accepted.at(-1) ?? after), "hello");
  assertEquals(listener.port, port);
  close(before, after, listener, ...accepted);
  await accepting;
  await transport.exchange(identity);
});
