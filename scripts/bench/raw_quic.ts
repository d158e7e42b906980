// A QUIC stream without anything around it. `raw_quic.ts serve BYTES CERT KEY` prints its port and sends so many bytes to
// whoever opens a stream; `raw_quic.ts read PORT BYTES CERT` takes them.
const [what, ...rest] = Deno.args;
const MIB = 1024 * 1024;
const ALPN = ["raw"];
if (what === "serve") await serve(Number(rest[0]), rest[1] ?? "", rest[2] ?? "");
else await read(Number(rest[0]), Number(rest[1]), rest[2] ?? "");

async function serve(bytes: number, cert: string, key: string): Promise<void> {
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({
    cert: await Deno.readTextFile(cert),
    key: await Deno.readTextFile(key),
    alpnProtocols: ALPN,
  });
  console.log(endpoint.addr.port);
  for (;;) send(await listener.accept(), bytes).catch(console.error);
}

async function send(connection: Deno.QuicConn, bytes: number): Promise<void> {
  connection.closed.catch(() => {});
  const { value } = await connection.incomingBidirectionalStreams.getReader().read();
  if (!value) return;
  const writer = value.writable.getWriter();
  const chunk = new Uint8Array(MIB);
  for (let left = bytes; left > 0; left -= MIB) await writer.write(chunk.subarray(0, Math.min(left, MIB)));
  await writer.close();
}

async function read(port: number, bytes: number, cert: string): Promise<void> {
  const caCerts = [await Deno.readTextFile(cert)];
  const connection = await Deno.connectQuic({ hostname: "127.0.0.1", port, alpnProtocols: ALPN, caCerts });
  connection.closed.catch(() => {});
  const { readable, writable } = await connection.createBidirectionalStream();
  // The peer hears of a stream by what comes on it.
  await writable.getWriter().write(new Uint8Array(1));
  const reader = readable.getReader({ mode: "byob" });
  let buffer = new Uint8Array(MIB);
  let got = 0;
  for (;;) {
    const { value, done } = await reader.read(buffer);
    if (done || !value) break;
    got += value.length;
    buffer = new Uint8Array(value.buffer);
  }
  if (got !== bytes) throw new Error(`${got} bytes instead of ${bytes}`);
  connection.close();
}
