import { assert, assertEquals } from "@std/assert";
import { FshError, toFshError } from "../../../lib/base/errors.ts";
import { silentLog } from "../../../lib/base/log.ts";
import { Session } from "../../../lib/session/session.ts";
import { brokenError, connectionError, sendFileError } from "../../../lib/transport/socket_error.ts";
import type { Connection } from "../../../lib/transport/transport.ts";
import { PREFACE } from "../../../lib/wire/preface.ts";

const PEER = "192.0.2.1:7374";

Deno.test("a session that TCP has given up ends at once: nobody would hear last words", async () => {
  let heard = false;
  const nothing = Promise.withResolvers<number>();
  const connection: Connection = {
    local: "192.0.2.2:40000",
    remote: PEER,
    read(buffer) {
      if (heard) return Promise.reject(new FshError("LINK_TIMEOUT", { subject: PEER }));
      heard = true;
      buffer.set(PREFACE);
      return Promise.resolve(PREFACE.length);
    },
    write: () => nothing.promise,
    closeWrite: () => Promise.resolve(),
    close: () => nothing.reject(new FshError("CONNECTION_LOST", { subject: PEER })),
    abort: () => nothing.reject(new FshError("CONNECTION_LOST", { subject: PEER })),
  };
  const session = new Session(connection, {
    role: "client",
    log: silentLog,
    limits: { window: 256 * 1024, maxStreams: 8, heartbeat: 0, misses: 3 },
    handshakeTimeout: 5000,
    idleTimeout: 0,
    stallTimeout: 0,
    agent: "test",
    capabilities: [],
    credentials: { user: "" },
  });
  const begun = performance.now();
  const error = toFshError(await session.start().then(() => null, (error) => error));
  const { how } = await session.ended;
  assertEquals([error.error, how], ["LINK_TIMEOUT", "timed-out"]);
  assert(performance.now() - begun < 1000, `${performance.now() - begun} ms`);
});

Deno.test("what was unreachable from the start is told apart from what has become so", () => {
  const unreachable = new Error("No route to host (os error 113)");
  assertEquals(connectionError(unreachable, PEER).error, "UNREACHABLE");
  assertEquals(brokenError(unreachable, PEER).error, "LINK_TIMEOUT");
  assertEquals(brokenError(new Deno.errors.TimedOut("os error 110"), PEER).error, "LINK_TIMEOUT");
  assertEquals(brokenError(new Deno.errors.ConnectionReset("os error 104"), PEER).error, "CONNECTION_RESET");
  for (const [code, name] of [["ETIMEDOUT", "LINK_TIMEOUT"], ["EPIPE", "CONNECTION_RESET"]] as const) {
    assertEquals(sendFileError(Object.assign(new Error(`sendfile: ${code}`), { code }), PEER).error, name);
  }
});
