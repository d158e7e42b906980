// A TCP stream without anything around it: what the runtime can do at best. `raw_stream.ts serve BYTES` prints its port
// and sends so many bytes to whoever connects, `raw_stream.ts serve FILE` a file; `raw_stream.ts read PORT BYTES` takes
// them, `raw_stream.ts save PORT FILE` with a CRC-32 and into a file.
import { crc32 } from "node:zlib";

const MIB = 1024 * 1024;
/** As fsh writes: larger pieces are slower where the page cache makes room in one piece. */
const PIECE = 64 * 1024;

const [what, first = "", second = ""] = Deno.args;
if (what === "serve") await serve(first);
else if (what === "read") await read(Number(first), Number(second));
else await save(Number(first), second);

async function serve(source: string): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(listener.addr.port);
  const answer = /^\d+$/.test(source)
    ? (connection: Deno.TcpConn) => send(connection, Number(source))
    : (connection: Deno.TcpConn) => sendFile(connection, source);
  for await (const connection of listener) answer(connection).catch(console.error);
}

async function send(connection: Deno.TcpConn, bytes: number): Promise<void> {
  using _ = connection;
  connection.setNoDelay(true);
  const chunk = new Uint8Array(MIB);
  for (let left = bytes; left > 0;) left -= await connection.write(chunk.subarray(0, Math.min(left, MIB)));
}

/** The next piece is read while one is on its way. */
async function sendFile(connection: Deno.TcpConn, path: string): Promise<void> {
  using _ = connection;
  using file = await Deno.open(path);
  connection.setNoDelay(true);
  let [current, other] = [new Uint8Array(MIB), new Uint8Array(MIB)];
  for (let length = file.readSync(current); length !== null;) {
    const sent = writeAll(connection, current.subarray(0, length));
    length = file.readSync(other);
    await sent;
    [current, other] = [other, current];
  }
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function read(port: number, bytes: number): Promise<void> {
  let got = 0;
  await take(port, (chunk) => got += chunk.length);
  if (got !== bytes) throw new Error(`${got} bytes instead of ${bytes}`);
}

async function save(port: number, path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  let sum = 0;
  await take(port, (chunk) => {
    sum = crc32(chunk, sum);
    for (let at = 0; at < chunk.length;) at += file.writeSync(chunk.subarray(at, at + PIECE));
  });
}

async function take(port: number, chunk: (chunk: Uint8Array) => void): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(MIB);
  for (let read: number | null; (read = await connection.read(buffer)) !== null;) chunk(buffer.subarray(0, read));
}
