import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { OptionValue } from "../../../lib/plugin.ts";
import { addressKey, AddressRanges, AddressTable } from "../../../plugins/rate_guard/address_table.ts";
import { createRateGuard } from "../../../plugins/rate_guard/rate_guard.ts";
import { failure, hookEvent, type StartedPlugin, startPlugin } from "../../support/hook_events.ts";

async function guarded(options: Record<string, OptionValue> = {}) {
  const clock = { ms: 1_000_000 };
  const it = await startPlugin(createRateGuard(() => clock.ms), { delay: 0, ...options });
  return { it, clock };
}

const refused = async (it: StartedPlugin, address: string) =>
  (await it.call(hookEvent("connect", { session: { address } }))) !== undefined;

const fail = (it: StartedPlugin, address: string, method = "scram-sha-256") =>
  it.call(hookEvent("failed", {
    session: { address },
    method,
    target: undefined,
    size: undefined,
    bytes: undefined,
    seconds: 0,
    error: { name: "AUTH_FAILED", code: 81, message: "authentication failed" },
  }));

Deno.test("rate-guard: so many failed logins lead to a ban, which ends", async () => {
  const { it, clock } = await guarded({ "max-failures": 3, window: 100, ban: 60 });
  for (let i = 0; i < 2; i++) await fail(it, "192.0.2.1");
  assertEquals(await refused(it, "192.0.2.1"), false);
  await fail(it, "192.0.2.1");
  const answer = { allow: false, reason: "too many attempts from this address; try again in 60 s" };
  assertEquals(await it.call(hookEvent("connect", { session: { address: "192.0.2.1" } })), answer);
  assertEquals(await refused(it, "192.0.2.2"), false);
  assertEquals(it.lines.map(({ message, fields }) => [message, fields.address]), [["address banned", "192.0.2.1"]]);
  clock.ms += 59_999;
  for (let i = 0; i < 3; i++) await fail(it, "192.0.2.1");
  assertEquals(await refused(it, "192.0.2.1"), true);
  clock.ms += 1;
  assertEquals(await refused(it, "192.0.2.1"), false);
});

Deno.test("rate-guard: failures that are long past don't count, nor do other events", async () => {
  const { it, clock } = await guarded({ "max-failures": 2, window: 10 });
  for (let i = 0; i < 5; i++) {
    await fail(it, "192.0.2.1");
    clock.ms += 10_000;
  }
  assertEquals(await refused(it, "192.0.2.1"), false);
  for (let i = 0; i < 5; i++) {
    await fail(it, "192.0.2.3", "anonymous");
    const session = { address: "192.0.2.3" };
    const rest = { target: undefined, size: undefined, bytes: 0, seconds: 0, error: undefined };
    await it.call(hookEvent("failed", { session, command: "get", path: "/x", ...rest }));
  }
  assertEquals(await refused(it, "192.0.2.3"), false);
});

Deno.test("rate-guard: IPv6 counts by its /64, IPv4 within it as IPv4", async () => {
  const { it } = await guarded({ "max-failures": 2 });
  await fail(it, "2001:db8:1:2::1");
  await fail(it, "2001:db8:1:2:ffff::9");
  assertEquals(await refused(it, "2001:0db8:0001:0002:a::"), true);
  assertEquals(await refused(it, "2001:db8:1:3::1"), false);
  await fail(it, "::ffff:198.51.100.7");
  await fail(it, "198.51.100.7");
  assertEquals(await refused(it, "198.51.100.7"), true);
  assertEquals(addressKey("fe80::1%eth0"), addressKey("fe80::2"));
  assertEquals(addressKey("not an address"), "not an address");
});

Deno.test("rate-guard: exempt addresses and ranges never get banned", async () => {
  const exempt = ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "::1"];
  const { it } = await guarded({ "max-failures": 1, "max-connects": 1, exempt });
  for (const address of ["192.0.2.200", "198.51.100.7", "::ffff:192.0.2.9", "2001:db8:5::5", "::1"]) {
    for (let i = 0; i < 5; i++) await fail(it, address);
    for (let i = 0; i < 5; i++) assertEquals(await refused(it, address), false, address);
  }
  for (const address of ["192.0.3.1", "198.51.100.8", "2001:db9::1", "::2"]) {
    await fail(it, address);
    assertEquals(await refused(it, address), true, address);
  }
  for (const wrong of ["192.0.2.0/33", "localhost", "10.1", "5", "", "192.0.2.1/"]) {
    assertStringIncludes(await failure(() => new AddressRanges([wrong])), "option exempt");
  }
});

Deno.test("rate-guard: too many connections per minute lead to a ban", async () => {
  const { it, clock } = await guarded({ "max-connects": 10, ban: 30 });
  clock.ms = 60_000 * 100;
  for (let i = 0; i < 10; i++) assertEquals(await refused(it, "192.0.2.1"), false, String(i));
  assertEquals(await refused(it, "192.0.2.1"), true);
  assertEquals(await refused(it, "192.0.2.2"), false);
  clock.ms += 31_000;
  // Half a minute on, all that was before still counts within its minute.
  assertEquals(await refused(it, "192.0.2.1"), true);
  clock.ms += 120_000;
  assertEquals(await refused(it, "192.0.2.1"), false);
});

Deno.test("rate-guard: a burst around the turn of a minute counts as one", async () => {
  const { it, clock } = await guarded({ "max-connects": 10 });
  clock.ms = 60_000 * 100 - 1_000;
  for (let i = 0; i < 8; i++) assertEquals(await refused(it, "192.0.2.1"), false, String(i));
  clock.ms += 2_000;
  for (let i = 0; i < 2; i++) assertEquals(await refused(it, "192.0.2.1"), false, String(i));
  assertEquals(await refused(it, "192.0.2.1"), true);
});

Deno.test("rate-guard: a steady rate below the limit is never refused", async () => {
  const { it, clock } = await guarded({ "max-connects": 10 });
  for (let i = 0; i < 200; i++) {
    assertEquals(await refused(it, "192.0.2.1"), false, String(i));
    clock.ms += 6_700;
  }
});

Deno.test("rate-guard: after failures a connection waits, longer each time, and not for an answer of no use", async () => {
  const { it } = await guarded({ delay: 40, "max-failures": 100 });
  const wait = async () => {
    const begun = performance.now();
    assertEquals(await refused(it, "192.0.2.1"), false);
    return performance.now() - begun;
  };
  assert(await wait() < 30);
  await fail(it, "192.0.2.1");
  const once = await wait();
  assert(once >= 39, String(once));
  await fail(it, "192.0.2.1");
  const twice = await wait();
  assert(twice >= 79, String(twice));
  for (let i = 0; i < 20; i++) await fail(it, "192.0.2.1");
  const given = new AbortController();
  const begun = performance.now();
  const late = it.call(hookEvent("connect", { session: { address: "192.0.2.1" } }), given.signal);
  given.abort();
  await late;
  assert(performance.now() - begun < 1_000);
});

Deno.test("rate-guard: it decides over no login, so a server without accounts stays one", () => {
  assertEquals(createRateGuard().hooks.authenticate, undefined);
});

Deno.test("rate-guard: at most so many addresses are remembered, those quiet for longest are forgotten", () => {
  const table = new AddressTable(1_000);
  table.touch("busy").failures.push(1);
  for (let i = 0; i < 5_000; i++) {
    table.touch(`a${i}`);
    table.touch("busy");
  }
  assertEquals(table.size, 1_000);
  assertEquals(table.peek("busy")?.failures, [1]);
  assert(table.peek("a4999") && !table.peek("a4000"));
});

Deno.test("rate-guard: options that are no whole numbers are an error at the start", async () => {
  for (const value of [-1, 1.5, NaN, 1e9]) {
    assertStringIncludes(await failure(() => guarded({ "max-failures": value })), "a whole number");
  }
});
