import { assertEquals, assertLessOrEqual } from "@std/assert";
import { ManualClock } from "../../../lib/base/clock.ts";
import { FshError } from "../../../lib/base/errors.ts";
import { Log, type LogRecord } from "../../../lib/base/log.ts";
import { Announcement, type AnnouncementOptions } from "../../../lib/discovery/announcement.ts";
import type { DnsRecord } from "../../../lib/discovery/message.ts";
import { assertFails } from "../../support/named_errors.ts";
import { Ether, type EtherHost } from "../../support/ether.ts";

class Bench {
  readonly ether = new Ether();
  readonly clock = new ManualClock();
  readonly records: LogRecord[] = [];

  announce(network: EtherHost, options: Partial<AnnouncementOptions> = {}): Promise<Announcement> {
    return Announcement.start({
      name: "office",
      scheme: "fsh",
      port: 7374,
      bound: "0.0.0.0",
      fingerprint: () => undefined,
      log: new Log("info", (record) => this.records.push(record)),
      network,
      clock: this.clock,
      random: () => 0.5,
      ...options,
    });
  }

  /** Time passes, and what it set off comes to its end. */
  async pass(ms: number): Promise<void> {
    for (const end = this.clock.now() + ms; this.clock.now() < end;) {
      this.clock.advance(Math.min(50, end - this.clock.now()));
      for (let i = 0; i < 5; i++) await Promise.resolve();
    }
  }

  /** What is announced, less what was taken back. */
  get present(): string[] {
    const all = this.ether.said.flatMap(({ message }) => message?.kind === "response" ? message.answers : []);
    const present = new Set<string>();
    for (const record of all) {
      if (record.type !== "PTR") continue;
      if (record.ttl > 0) present.add(record.target);
      else present.delete(record.target);
    }
    return [...present].sort();
  }

  logged(message: string): unknown[] {
    return this.records.filter((record) => record.message === message).map(({ fields }) => fields.name);
  }
}

Deno.test("of servers by the same name the later ones are numbered, and each takes its own name back", async () => {
  const bench = new Bench();
  const first = await bench.announce(bench.ether.host("10.0.0.1"));
  await bench.pass(2000);
  const second = await bench.announce(bench.ether.host("10.0.0.2"));
  await bench.pass(3000);
  const third = await bench.announce(bench.ether.host("10.0.0.3"));
  await bench.pass(6000);
  assertEquals([first.name, second.name, third.name], ["office", "office (2)", "office (3)"]);
  const full = (name: string) => `${name}._fsh._tcp.local`;
  assertEquals(bench.present, ["office (2)", "office (3)", "office"].map(full));
  await second.withdraw();
  assertEquals(bench.present, ["office (3)", "office"].map(full));
  await first.withdraw();
  await third.withdraw();
  assertEquals(bench.present, []);
  await third.withdraw();
  assertEquals([bench.ether.listeners, bench.clock.pending], [0, 0]);
});

Deno.test("of servers that start at once by the same name each has one of its own in the end", async () => {
  const bench = new Bench();
  const all = await Promise.all([1, 2, 3].map((i) => bench.announce(bench.ether.host(`10.0.0.${i}`))));
  await bench.pass(20_000);
  assertEquals(all.map(({ name }) => name).sort(), ["office", "office (2)", "office (3)"]);
  assertEquals(bench.present.length, 3);
  for (const one of all) await one.withdraw();
});

Deno.test("two networks that are joined later, with a server of the same name on each, come to terms", async () => {
  const bench = new Bench();
  const [host, other] = [bench.ether.host("10.0.0.1"), bench.ether.host()];
  const apart = new Bench();
  const first = await bench.announce(host);
  const second = await bench.announce(other, { network: apart.ether.host("10.0.0.2") });
  await bench.pass(3000);
  assertEquals([first.name, second.name], ["office", "office"]);
  // What each says from now on the other hears.
  const join = (from: Ether, to: Ether) => {
    const deliver = from.deliver.bind(from);
    from.deliver = (sender, bytes) => {
      deliver(sender, bytes);
      if (sender !== "joined") to.deliver("joined", bytes);
    };
  };
  join(bench.ether, apart.ether);
  join(apart.ether, bench.ether);
  bench.ether.say({ kind: "query", questions: [{ name: "_fsh._tcp.local", type: "PTR" }] });
  await bench.pass(10_000);
  assertEquals([first.name, second.name].sort(), ["office", "office (2)"]);
  await first.withdraw();
  await second.withdraw();
});

Deno.test("somebody who takes every name has us try ever more slowly, and the log with it", async () => {
  const bench = new Bench();
  const announcement = await bench.announce(bench.ether.host("10.0.0.1"));
  const begun = bench.clock.now();
  let spoken = 0;
  while (bench.clock.now() < begun + 120_000) {
    await bench.pass(50);
    const claims = bench.ether.said.slice(spoken).flatMap(({ message }) => message?.authorities ?? []);
    spoken = bench.ether.said.length;
    const answers = claims.filter(({ type }) => type === "SRV")
      .map((claim): DnsRecord => ({
        type: "SRV",
        name: claim.name,
        port: 1,
        target: "evil.local",
        ttl: 120,
        flush: true,
      }));
    if (answers.length > 0) bench.ether.say({ kind: "response", answers });
  }
  // 15, and one for each 5 seconds.
  assertLessOrEqual(bench.records.length, 15 + 24);
  await announcement.withdraw();
});

Deno.test("networks come and go", async () => {
  const bench = new Bench();
  const host = bench.ether.host();
  const announcement = await bench.announce(host);
  assertEquals(bench.records.map(({ message }) => message), [
    "announced nowhere: no network that carries multicast, so far",
  ]);
  host.addresses = ["10.0.0.1"];
  await bench.pass(6000);
  assertEquals(bench.logged("announced"), ["office"]);
  host.addresses = [];
  await bench.pass(3000);
  assertEquals(bench.ether.listeners, 0);
  host.addresses = ["10.0.0.2"];
  await bench.pass(6000);
  assertEquals(bench.logged("announced"), ["office", "office"]);
  bench.ether.breakDown();
  assertEquals(bench.ether.listeners, 0);
  await bench.pass(6000);
  assertEquals(bench.ether.listeners, 1);
  await announcement.withdraw();
});

Deno.test("what is announced are the addresses that the server listens on, where it does", async () => {
  for (
    const [bound, addresses] of [
      ["0.0.0.0", ["10.0.0.1", "10.0.0.2"]],
      ["::", ["10.0.0.1", "10.0.0.2", "fd00::1"]],
      ["10.0.0.2", ["10.0.0.2"]],
      ["fd00::1", ["fd00::1"]],
      ["10.9.9.9", []],
    ] as const
  ) {
    const bench = new Bench();
    const announcement = await bench.announce(bench.ether.host("10.0.0.1", "10.0.0.2", "fd00::1"), { bound });
    await bench.pass(1500);
    const answers = bench.ether.said.flatMap(({ message }) => message?.kind === "response" ? message.answers : []);
    const said = answers.flatMap((record) => record.type === "A" || record.type === "AAAA" ? [record.address] : []);
    assertEquals([...new Set(said)], [...addresses], bound);
    await announcement.withdraw();
  }
});

Deno.test("a certificate that is exchanged is announced", async () => {
  const bench = new Bench();
  let fingerprint = "SHA256:" + "a".repeat(43);
  await using _announcement = await bench.announce(bench.ether.host("10.0.0.1"), { fingerprint: () => fingerprint });
  await bench.pass(5000);
  fingerprint = "SHA256:" + "b".repeat(43);
  const before = bench.ether.said.length;
  await bench.pass(4000);
  const said = bench.ether.said.slice(before).flatMap(({ message }) => message?.answers ?? []);
  assertEquals(said.flatMap((record) => record.type === "TXT" ? [record.strings.at(-1)] : []), [`fp=${fingerprint}`]);
});

Deno.test("a port that another program keeps to itself is an error at the start, and nothing stays open", async () => {
  const bench = new Bench();
  const host = bench.ether.host("10.0.0.1");
  host.open = () => Promise.reject(new FshError("ADDRESS_IN_USE", { subject: "UDP port 5353" }));
  await assertFails(() => bench.announce(host), "ADDRESS_IN_USE");
  assertEquals(bench.clock.pending, 0);
});

Deno.test("networks that can't be looked at for a while end nothing: they are looked at again", async () => {
  const bench = new Bench();
  const host = bench.ether.host();
  const announcement = await bench.announce(host);
  const { links } = host;
  host.links = () => {
    throw new Error("Too many open files (os error 24)");
  };
  await bench.pass(6000);
  host.links = links;
  host.addresses = ["10.0.0.1"];
  await bench.pass(6000);
  assertEquals(bench.logged("announced"), ["office"]);
  await announcement.withdraw();
});
