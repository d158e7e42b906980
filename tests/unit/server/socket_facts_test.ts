import { assertEquals } from "@std/assert";
import type { SessionFact, SocketState } from "../../../lib/server/control.ts";
import { socketFacts } from "../../../lib/server/socket_facts.ts";

const LOCAL = "127.0.0.1:7374";

function session(id: string, protocol: "tcp" | "quic"): SessionFact {
  return {
    id,
    user: "an",
    method: "anonymous",
    protocol,
    local: LOCAL,
    remote: "127.0.0.1:50000",
    secure: true,
    agent: "",
    since: 0,
    idle: 0,
    received: 0,
    sent: 0,
    rate: 0,
    requests: 0,
    streams: [],
  };
}

function socket(protocol: "tcp" | "udp", remote: string | null): SocketState {
  return { protocol, state: "ESTAB", local: LOCAL, remote, receiveQueue: 0, sendQueue: 0, timer: null };
}

// A port of TCP and the same one of UDP have nothing to do with each other.
const SESSIONS = [session("1", "tcp"), session("2", "quic")];

Deno.test("each session has a row, over QUIC beside the socket that they share; a port of TCP is no port of UDP", () => {
  const rows = [socket("tcp", null), socket("tcp", "127.0.0.1:50000"), socket("udp", null)];
  const facts = socketFacts(rows, SESSIONS);
  assertEquals(facts.map(({ protocol, state, session }) => [protocol, state, session]), [
    ["tcp", "ESTAB", null],
    ["tcp", "ESTAB", "1"],
    ["udp", "ESTAB", null],
    ["quic", null, "2"],
  ]);
});

Deno.test("where the system tells nothing there is what sessions know, each by its own protocol", () => {
  const facts = socketFacts(null, SESSIONS);
  assertEquals(facts.map(({ protocol, state, session, remote }) => [protocol, state, session, remote]), [
    ["tcp", null, "1", "127.0.0.1:50000"],
    ["quic", null, "2", "127.0.0.1:50000"],
  ]);
});
