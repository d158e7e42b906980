// Whoever answers for a server's sessions: each implementation of SessionControl has to pass all of this.
import { assert, assertEquals } from "@std/assert";
import type { SessionControl } from "../../lib/server/control.ts";
import { eventually } from "../support/program.ts";
import { assertFails } from "../support/named_errors.ts";
import { RunningServer } from "../support/running_server.ts";
import { pausedSource } from "../support/sources.ts";
import { accounts } from "../support/accounts.ts";

interface Subject extends AsyncDisposable {
  readonly control: SessionControl;
  readonly running: RunningServer;
}

async function oneLoop(): Promise<Subject> {
  const running = await RunningServer.start(await accounts({ access: "write" }));
  return { running, control: running.server.roster, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

const IMPLEMENTATIONS = [["one event loop", oneLoop]] as const;

for (const [name, start] of IMPLEMENTATIONS) {
  const as = { credentials: { user: "an", password: () => Promise.resolve("correct horse") } };
  /** Some frames' worth. */
  const some = new Uint8Array(400_000);

  Deno.test(`${name}: nobody is listed before anybody came in, and after all have left`, async () => {
    await using subject = await start();
    const { control, running } = subject;
    const stranger = await running.peer({ shaken: false });
    assertEquals(await control.sessions(), []);
    assertEquals(await control.load(), { sessions: 0, requests: 0 });
    stranger.close();
    const client = await running.client(as);
    assertEquals((await control.sessions()).length, 1);
    await client.close();
    await running.quiet();
    assertEquals(await control.sessions(), []);
  });

  Deno.test(`${name}: a session is listed with who it is, since when, and what it does`, async () => {
    await using subject = await start();
    const { control, running } = subject;
    const before = Date.now();
    const client = await running.client(as);
    const [idle] = await control.sessions();
    assert(idle);
    assertEquals([idle.id, idle.user, idle.method], [client.session.identity.session, "an", "scram-sha-256"]);
    assertEquals([idle.requests, idle.streams, idle.rate], [0, [], 0]);
    assert(idle.since >= before - 1 && idle.since <= Date.now() + 1);
    assertEquals(idle.remote, client.session.local);
    assertEquals(idle.local, client.session.remote);

    const paused = pausedSource(some);
    const put = client.put("/new", paused, { size: null });
    const { streams, received, requests } = await busy(control);
    assertEquals(requests, 1);
    assertEquals([streams[0]?.command, streams[0]?.path, streams[0]?.more], ["PUT", "/new", 0]);
    assert((streams[0]?.bytes ?? 0) > 0 && received > (streams[0]?.bytes ?? 0));
    assertEquals(await control.load(), { sessions: 1, requests: 1 });
    paused.go();
    await put;
    await eventually("the request to be over", 10_000, async () => (await control.load()).requests === 0);
  });

  Deno.test(`${name}: who is kicked is told why in mid-request, and others are left alone`, async () => {
    await using subject = await start();
    const { control, running } = subject;
    const [client, other] = [await running.client(as), await running.client(as)];
    const paused = pausedSource(some);
    const put = client.put("/new", paused, { size: null });
    put.catch(() => {});
    await busy(control);
    const { session: id } = client.session.identity;
    assertEquals((await control.kick(id, "later")).id, id);
    const error = await assertFails(() => put, "KICKED");
    assertEquals([error.detail, error.remote, error.retryable], ["later", true, false]);
    paused.go();
    assertEquals((await client.ended).error?.error, "KICKED");
    await assertFails(() => client.stat("/"), "KICKED");
    await assertFails(() => other.stat("/new"), "NOT_FOUND");
    assertEquals((await control.sessions()).map(({ id }) => id), [other.session.identity.session]);
    await assertFails(() => control.kick(id, ""), "NOT_FOUND");
    for (const odd of ["", "0", "toString", "\0", "1 ", "9".repeat(1000)]) {
      await assertFails(() => control.kick(odd, ""), "NOT_FOUND");
    }
  });

  Deno.test(`${name}: an idle session can be kicked, and twice at once`, async () => {
    await using subject = await start();
    const { control, running } = subject;
    const client = await running.client(as);
    const { session: id } = client.session.identity;
    await Promise.all([control.kick(id, ""), control.kick(id, "")]);
    assertEquals((await client.ended).error?.error, "KICKED");
    assertEquals(await control.load(), { sessions: 0, requests: 0 });
  });
}

async function busy(control: SessionControl) {
  for (let look = 0; look < 20; look++) {
    const [session] = await control.sessions();
    if (session && session.streams.some(({ bytes }) => bytes > 0)) return session;
  }
  throw new Error("nothing moves");
}
