import { assert } from "@std/assert";
import { type Case, runCases, text } from "../support/hostile_case.ts";
import { type Script } from "../support/hostile_server.ts";
import type { RawPeer } from "../support/raw_peer.ts";

Deno.test("a greeting that is none, lies or never ends", async () => {
  const greeting = (name: string, greet: NonNullable<Script["greet"]>, rest: Partial<Case> = {}): Case => ({
    name,
    script: { greet },
    args: (url) => ["ls", "--handshake-timeout", "1s", url],
    exit: 3,
    error: /does not speak FSH\/1|closed without notice|handshake not finished|reset/,
    ...rest,
  });
  const says = (text: string) => async (connection: { write(bytes: Uint8Array): Promise<number> }) => {
    await connection.write(new TextEncoder().encode(text));
    await new Promise((resolve) => setTimeout(resolve, 200));
  };
  const hello = (name: string, hello: Script["hello"], rest: Partial<Case>): Case => ({
    name,
    script: { hello: hello ?? {} },
    args: (url) => ["ls", url],
    exit: 1,
    error: /out of range/,
    ...rest,
  });
  const ESCAPES = "\u001b]0;pwned\u0007\u009b2J";
  await runCases([
    greeting("nothing", () => Promise.resolve()),
    greeting("HTTP with escapes", says(`HTTP/1.1 400 ${ESCAPES}\r\n\r\n`)),
    greeting("SSH with escapes", says(`SSH-2.0-${ESCAPES}\r\n`)),
    greeting("64 KiB of text", says(ESCAPES.repeat(6000))),
    greeting("silence", () => new Promise((resolve) => setTimeout(resolve, 2_000))),
    greeting("a byte now and then", async (connection) => {
      for (const byte of new TextEncoder().encode("FSH/1")) {
        await connection.write(Uint8Array.of(byte));
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
    }),
    hello("a window of one byte", { window: 1 }, {}),
    hello("no window", { window: 0 }, {}),
    hello("frames of nothing", { maxData: 0 }, {}),
    hello("no streams", { maxStreams: 0 }, {}),
    hello("another version", { version: 9 }, { exit: 3, error: /version not supported/ }),
    hello("no way in", { methods: [] }, { exit: 4, error: /lets nobody in/ }),
    hello("limits beyond all need, and a name that a terminal would execute", {
      agent: ESCAPES,
      maxData: 2 ** 32 - 1,
      window: 2 ** 32 - 1,
      maxStreams: 2 ** 32 - 1,
      heartbeat: 1,
      misses: 0,
      capabilities: Array.from({ length: 32 }, () => ESCAPES),
    }, { exit: 0, error: /^/, env: { FSH_LOG: "trace" } }),
  ]);
});

Deno.test("a server that has not shown who it is learns no password, and gets no work done", async () => {
  const nonceOf = (data: Uint8Array) => /r=([^,]*)/.exec(new TextDecoder().decode(data))?.[1] ?? "";
  const salt = btoa("salt of a liar");
  const scram = (
    name: string,
    first: (nonce: string) => string,
    error: RegExp,
    rest: Partial<Case> & { proceed?: (peer: RawPeer) => Promise<void> } = {},
  ): Case => ({
    name,
    script: {
      hello: { methods: ["scram-sha-256"] },
      admit: async (peer, { fields: { data } }) => {
        await peer.send("CHALLENGE", 0, { data: text(first(nonceOf(data))) });
        await rest.proceed?.(peer);
      },
    },
    args: (url) => ["ls", "--handshake-timeout", "2s", url.replace("//", "//an@")],
    env: { FSH_PASSWORD: "correct horse" },
    exit: 4,
    error,
    after: (_place, { server }) => {
      for (const request of server.requests) {
        assert(!JSON.stringify(request.fields).includes("horse"), "the password crossed the network");
        if ("data" in request.fields) {
          assert(!new TextDecoder().decode(request.fields.data as Uint8Array).includes("horse"));
        }
      }
    },
    ...rest,
  });
  const first = (iterations: number | string) => (nonce: string) => `r=${nonce}more,s=${salt},i=${iterations}`;
  await runCases([
    scram("4294967295 iterations", first(4294967295), /iterations of the password/),
    scram("10000001 iterations", first(10_000_001), /iterations of the password/),
    scram("as many iterations as are allowed", first(10_000_000), /handshake not finished/, { exit: 3 }),
    scram("one iteration", first(1), /iterations of the password/),
    scram("iterations that are no number", first("1e9"), /no number/, { exit: 1 }),
    scram("a nonce of another exchange", () => `r=other,s=${salt},i=4096`, /not of this exchange/, { exit: 1 }),
    scram("READY without a proof", first(4096), /could not prove that it knows the password/, {
      proceed: (peer) => peer.expect("AUTH").then(() => peer.send("READY", 0, { session: "s", user: "an" })),
    }),
    scram("a wrong proof", first(4096), /could not prove|no signature/, {
      proceed: async (peer) => {
        await peer.expect("AUTH");
        await peer.send("CHALLENGE", 0, { data: text(`v=${btoa("x".repeat(32))}`) });
      },
    }),
    {
      ...scram("READY at once", first(4096), /could not prove that it knows the password/),
      script: {
        hello: { methods: ["scram-sha-256"] },
        admit: (peer) => peer.send("READY", 0, { session: "s", user: "an" }),
      },
    },
    {
      ...scram("nobody asked for", first(4096), /knows no users/),
      script: { hello: { methods: ["anonymous"] } },
    },
    {
      ...scram("a refusal that a terminal would execute", first(4096), /\\x1b\[31m/),
      script: {
        hello: { methods: ["scram-sha-256"] },
        admit: (peer) => peer.send("ERROR", 0, { code: 81, subject: "", detail: "\u001b[31mtype it again: \u202e" }),
      },
    },
  ]);
});
