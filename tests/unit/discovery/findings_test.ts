import { assertEquals, assertLessOrEqual } from "@std/assert";
import { nextQuestion, QUESTION_BYTES } from "../../../lib/discovery/browse.ts";
import { Findings, type Found, mergeFound, MOST_SERVERS } from "../../../lib/discovery/findings.ts";
import { type DnsRecord, encodeMessage, type Message } from "../../../lib/discovery/message.ts";
import { type Part, recordsOf, type Service } from "../../../lib/discovery/service.ts";

const SERVICE: Service = {
  name: "office",
  scheme: "fshs",
  port: 7374,
  fingerprint: "SHA256:" + "a".repeat(43),
  host: "fsh-1.local",
  addresses: ["10.0.0.1"],
};
const FINGERPRINT = "SHA256:" + "a".repeat(43);
const FOUND: Found = {
  name: "office",
  scheme: "fshs",
  port: 7374,
  addresses: ["10.0.0.1"],
  fingerprint: FINGERPRINT,
  host: "fsh-1.local",
};

function response(...answers: readonly DnsRecord[]): Message {
  return { kind: "response", questions: [], answers, authorities: [], additionals: [] };
}

function parts(service: Service, ...wanted: readonly Part[]): DnsRecord[] {
  return wanted.flatMap((part) => recordsOf(service, part));
}

Deno.test("a server counts once all of it is known, in whatever order it comes; what is missing is asked for", () => {
  const findings = new Findings();
  findings.heard(response(...parts(SERVICE, "pointer")));
  assertEquals(findings.servers, []);
  assertEquals(findings.open, [{ name: "office._fsh._tcp.local", type: "ANY" }]);
  findings.heard(response(...parts(SERVICE, "text", "target")));
  assertEquals(findings.servers, []);
  assertEquals(findings.open, [{ name: "fsh-1.local", type: "A" }]);
  assertEquals(findings.known, []);
  findings.heard(response(...parts(SERVICE, "addresses")));
  assertEquals(findings.servers, [FOUND]);
  assertEquals(findings.open, []);
  assertEquals(findings.known, parts(SERVICE, "pointer"));

  const once = new Findings();
  once.heard(response(...parts(SERVICE, "addresses", "text", "target", "pointer")));
  assertEquals(once.servers, [FOUND]);
});

Deno.test("a server that says farewell is gone; questions, other services and unusable ones are none", () => {
  const findings = new Findings();
  const all = parts(SERVICE, "pointer", "target", "text", "addresses");
  findings.heard(response(...all));
  findings.heard(response(...all.map((record) => ({ ...record, ttl: 0 }))));
  assertEquals(findings.servers, []);
  findings.heard(response(...all.map((record) => record.type === "PTR" ? record : { ...record, ttl: 0 })));
  assertEquals(findings.servers, []);
  findings.heard({ ...response(...all), kind: "query" });
  assertEquals(findings.servers, []);
  for (
    const change of [
      { port: 0 },
      { addresses: ["fe80::1"] },
      { scheme: "fshq", name: "x" },
    ] as const
  ) {
    const other = { ...SERVICE, host: `fsh-${Object.keys(change)}.local`, ...change };
    const mixed = parts(other, "pointer", "target", "text", "addresses")
      .map((one): DnsRecord => one.type === "TXT" ? { ...one, strings: ["scheme=fsh"] } : one);
    findings.heard(response(...mixed));
    assertEquals(findings.servers, [], JSON.stringify(change));
  }
});

Deno.test("a service of another program's counts with what it says; a fingerprint only if it can be one", () => {
  for (
    const [strings, scheme, fingerprint] of [
      [[""], "fsh", null],
      [["SCHEME=fshs", "scheme=fsh"], "fshs", null],
      [[`FP=${FINGERPRINT}`], "fsh", FINGERPRINT],
      [["fp=SHA256:\x1b[31m"], "fsh", null],
    ] as const
  ) {
    const findings = new Findings();
    const name = "a.b._fsh._tcp.local";
    findings.heard(response(
      { type: "PTR", name: "_FSH._tcp.local", target: name, ttl: 4500, flush: false },
      { type: "SRV", name, port: 1, target: "host.local", ttl: 120, flush: true },
      { type: "TXT", name, strings, ttl: 120, flush: true },
      { type: "A", name: "host.local", address: "10.0.0.2", ttl: 120, flush: true },
    ));
    const [found] = findings.servers;
    assertEquals([found?.name, found?.scheme, found?.fingerprint], ["a.b", scheme, fingerprint]);
    assertEquals(findings.known, []);
  }
});

Deno.test("whatever is announced, so much is remembered, and a question fits into a packet", () => {
  const findings = new Findings();
  for (let i = 0; i < 3 * MOST_SERVERS; i++) {
    const service = { ...SERVICE, name: `${i}`, host: `fsh-${i}.local`, addresses: [] };
    const addresses = Array.from({ length: 40 }, (_, at): DnsRecord => {
      return { type: "A", name: service.host, address: `10.0.0.${at}`, ttl: 120, flush: false };
    });
    findings.heard(response(...parts(service, "pointer", ...i % 2 ? ["target", "text"] as const : []), ...addresses));
    // Without a pointer it is nothing.
    findings.heard(response(...parts({ ...service, name: `${i} more` }, "target", "text")));
  }
  assertEquals(findings.servers.length, MOST_SERVERS / 2);
  assertEquals(findings.servers[0]?.addresses.length, 16);
  assertEquals(findings.open.length, MOST_SERVERS / 2);
  assertLessOrEqual(encodeMessage(nextQuestion(findings)).length, QUESTION_BYTES);
});

Deno.test("a question has at least its length, and all that is known and open if there is room", () => {
  const findings = new Findings();
  assertEquals(encodeMessage(nextQuestion(findings)).length, QUESTION_BYTES);
  findings.heard(response(...parts(SERVICE, "pointer", "target", "text", "addresses")));
  findings.heard(response(...parts({ ...SERVICE, name: "other" }, "pointer")));
  const { questions, answers } = nextQuestion(findings);
  assertEquals(questions?.map(({ name, type }) => `${type} ${name}`), [
    "PTR _fsh._tcp.local",
    "PTR _fsh._udp.local",
    "ANY other._fsh._tcp.local",
  ]);
  assertEquals(answers, parts(SERVICE, "pointer"));
  assertEquals(encodeMessage(nextQuestion(findings)).length, QUESTION_BYTES);
});

Deno.test("what is found on two networks is one server if it is one", () => {
  const one = { ...FOUND, scheme: "fshs", fingerprint: null } as const;
  const merged = mergeFound([
    { ...one, name: "z" },
    one,
    { ...one, addresses: ["10.0.1.1", "10.0.0.1"], host: "FSH-1.local" },
    { ...one, host: "fsh-2.local", addresses: ["10.0.0.9"] },
  ]);
  assertEquals(merged.map(({ name, addresses }) => [name, ...addresses]), [
    ["office", "10.0.0.1", "10.0.1.1"],
    ["office", "10.0.0.9"],
    ["z", "10.0.0.1"],
  ]);
});
