import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FshError } from "../../lib/base/errors.ts";
import { native } from "../../lib/native/load.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { writeAll } from "../../lib/transport/transport.ts";
import { assertFails } from "../support/named_errors.ts";
import { bytesOf } from "../support/stored_files.ts";

// Loads the native library before the first test: it stays for the life of the process.
native();
const transport = new TcpTransport();

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** Connects by `dial` to a listener on `hostname` and sends a word through. */
async function talk(hostname: string, dial: string): Promise<{ remote: string; url: string }> {
  const listener = await transport.listen({ hostname, port: 0 });
  const near = await transport.connect({ hostname: dial, port: listener.port, timeout: 5000 });
  const far = await listener.accept();
  await writeAll(near, bytesOf("word"));
  const buffer = new Uint8Array(4);
  assertEquals(await far.read(buffer), 4);
  near.close();
  far.close();
  listener.close();
  return { remote: near.remote, url: far.local };
}

Deno.test({
  name: "tcp: IPv6 works, and its address has brackets",
  ignore: !hasIpv6(),
  fn: async () => {
    const { remote, url } = await talk("::1", "::1");
    assertMatch(remote, /^\[::1\]:\d+$/);
    assertEquals(remote, url);
  },
});

Deno.test("tcp: a name with several addresses finds the one that answers", async () => {
  const { remote } = await talk("127.0.0.1", "localhost");
  assertMatch(remote, /^127\.0\.0\.1:\d+$/);
});

Deno.test("tcp: a host that nobody knows is UNKNOWN_HOST, by name", async () => {
  const error = await assertFails(
    () => transport.connect({ hostname: "no-such-host.invalid", port: 1, timeout: 5000 }),
    "UNKNOWN_HOST",
  );
  assertStringIncludes(error.message, "no-such-host.invalid");
});

Deno.test("tcp: an address that is not this machine's is ADDRESS_UNAVAILABLE", async () => {
  await assertFails(() => transport.listen({ hostname: "192.0.2.1", port: 0 }), "ADDRESS_UNAVAILABLE");
});

Deno.test("tcp: an interrupt ends the attempt", async () => {
  const interrupt = new AbortController();
  interrupt.abort();
  await assertFails(
    () => transport.connect({ hostname: "127.0.0.1", port: 1, timeout: 5000, signal: interrupt.signal }),
    "INTERRUPTED",
  );
});

Deno.test("tcp: no answer is CONNECT_TIMEOUT or UNREACHABLE, within the limit", async () => {
  // TEST-NET-1 (RFC 5737): routed nowhere. Where a network refuses it at once, that is an answer, too.
  const begun = performance.now();
  let failure: unknown;
  try {
    (await transport.connect({ hostname: "192.0.2.1", port: 9, timeout: 200 })).close();
  } catch (error) {
    failure = error;
  }
  assert(performance.now() - begun < 3000);
  if (failure !== undefined) assert(failure instanceof FshError, String(failure));
});
