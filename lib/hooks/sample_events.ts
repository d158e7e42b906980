import type { EventSession, Facts, HookEvent, User } from "./event.ts";
import { type FactName, type HookName, hookRow } from "./hooks.ts";
import { makeEvent } from "./host.ts";

const SESSION: EventSession = { id: "1", address: "192.0.2.7", port: 50123, secure: true };
const USER: User = { name: "alice" };

const VALUES: Readonly<{ [F in FactName]: readonly Facts[F][] }> = {
  method: ["anonymous", "scram-sha-256", "token"],
  token: ["a-token-that-nobody-has", undefined],
  password: [undefined],
  key: [undefined],
  command: ["get", "put", "list"],
  path: ["/reports/2026.txt", "/secret.key", "/"],
  target: [undefined, "/reports/old.txt"],
  size: [1234, null, undefined],
  transfer: ["1"],
  chunk: [new TextEncoder().encode("hello"), new Uint8Array()],
  offset: [0],
  bytes: [1234],
  seconds: [0.5],
  digest: ["crc32:3610a686"],
  error: [{ name: "NOT_FOUND", code: 100, message: "/reports/2026.txt: not found" }, undefined],
  how: ["graceful", "abrupt"],
  level: ["info"],
  message: ["session opened"],
  fields: [{ remote: "192.0.2.7:50123" }],
};

/** A few events of a hook, as a server might tell them; made from the table, so that no hook can be forgotten. */
export function sampleEvents(hook: HookName): HookEvent[] {
  const { facts } = hookRow(hook);
  const count = Math.max(1, ...facts.map((fact) => VALUES[fact].length));
  return Array.from({ length: count }, (_, index) => {
    const values = Object.fromEntries(facts.map((fact) => [fact, VALUES[fact][index % VALUES[fact].length]]));
    const user = hook === "connect" || hook === "log" ? {} : { user: USER };
    return makeEvent(hook, { session: SESSION, ...user, ...values } as never);
  });
}
