import type { Client } from "../../lib/client/client.ts";
import type { PutSource } from "../../lib/commands/put.ts";
import { FshError } from "../../lib/base/errors.ts";
import { bytesOf, pattern } from "./stored_files.ts";

/** Does, with a client that may write and has been asked for a password, what it takes for every kind of frame to be sent. */
export async function sendEveryFrame(client: Client): Promise<void> {
  const large = pattern(3_000_000);
  const put = { size: large.length, key: "large", continue: true, modified: 1_700_000_000_000, mode: 0o640 };
  await client.mkdir("/folder");
  await client.put("/folder/large", again(large), put);
  await client.get("/folder/large", { open: () => () => {} });
  await cancelled(client, "/folder/large");
  const small = ["one", "Báo cáo quý", "three"].map((name) => ({
    path: `/folder/${name}`,
    content: bytesOf(`content of ${name}`),
    modified: null,
    mode: 0o600,
  }));
  await client.putSmall(small, { algorithm: "crc32" });
  const paths = [...small.map(({ path }) => path), "/folder/missing"];
  await client.getSmall(paths, { algorithm: "sha256", limit: 1000, take: () => Promise.resolve() });
  await client.symlink("/folder/link", "one");
  await client.readLink("/folder/link");
  await client.touch("/folder/one", { modified: 0, mode: 0o644 });
  for await (const _page of client.list("/", { recursive: true })) continue;
  await client.stat("/folder/one");
  await client.stat("/missing").catch(() => {});
  await client.hash("/folder/one");
  await client.move("/folder/one", "/folder/1");
  await client.ping();
  await client.remove("/folder", { recursive: true });
}

/** Begins to get a file, and gives it up. */
async function cancelled(client: Client, path: string): Promise<void> {
  const leave = new AbortController();
  const open = () => (leave.abort(new FshError("INTERRUPTED")), () => {});
  await client.get(path, { signal: leave.signal, open }).catch(() => {});
}

/** A source that can be read again. */
function again(bytes: Uint8Array): PutSource {
  let at = 0;
  return {
    read(buffer) {
      const part = bytes.subarray(at, at + buffer.length);
      buffer.set(part);
      at += part.length;
      return Promise.resolve(part.length || null);
    },
    seek(offset) {
      at = offset;
      return Promise.resolve();
    },
  };
}
