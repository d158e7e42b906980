// A TCP stream without anything around it. `raw_stream.ts serve BYTES` prints its port and sends so many bytes to whoever
// connects; `raw_stream.ts read PORT BYTES` takes them.
const [what, ...numbers] = Deno.args;
const [first = 0, second = 0] = numbers.map(Number);
const MIB = 1024 * 1024;
if (what === "serve") await serve(first);
else await read(first, second);

async function serve(bytes: number): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(listener.addr.port);
  for await (const connection of listener) send(connection, bytes).catch(console.error);
}

async function send(connection: Deno.TcpConn, bytes: number): Promise<void> {
  using _ = connection;
  connection.setNoDelay(true);
  const chunk = new Uint8Array(MIB);
  for (let left = bytes; left > 0;) left -= await connection.write(chunk.subarray(0, Math.min(left, MIB)));
}

async function read(port: number, bytes: number): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(MIB);
  let got = 0;
  for (let read: number | null; (read = await connection.read(buffer)) !== null;) got += read;
  if (got !== bytes) throw new Error(`${got} bytes instead of ${bytes}`);
}
