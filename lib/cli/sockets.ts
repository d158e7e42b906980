import { jsonText } from "../base/bytes.ts";
import type { SocketFact } from "../server/control.ts";
import type { Subcommand } from "./args.ts";
import { ask, CONTROL_CLIENT_OPTIONS } from "./control_client.ts";
import { print } from "./output.ts";
import { printTable } from "./table.ts";

const HEAD = ["PROTO", "STATE", "RECV-Q", "SEND-Q", "LOCAL", "PEER", "TIMER", "SESSION", "USER", "DOING"];

export const socketsCommand: Subcommand = {
  name: "sockets",
  usage: ["[--json]"],
  summary: "list the sockets of a running server of yours",
  details: `A line for each socket of the server's, in the words of ss(8): state, bytes that came and were not read
(where it listens: connections that wait), bytes that were not acknowledged, both ends, the kernel's timer with the time
until it goes off and how often it did in vain; then the session that it carries, the user, and what that is busy with.
Sessions over QUIC have no sockets of their own, they share one of UDP; each has a line nevertheless.
State, queues and timers are known on Linux; elsewhere a dash stands for them, and only sockets of sessions are listed.

  fsh sockets`,
  options: CONTROL_CLIENT_OPTIONS,
  operands: { min: 0, max: 0 },

  async run(args, environment) {
    const rows = [HEAD];
    for await (const { socket } of ask({ request: "sockets" }, { args, environment })) {
      if (socket === undefined) continue;
      if (args.has("json")) print(jsonText(socket));
      else rows.push(rowOf(socket as SocketFact));
    }
    if (!args.has("json")) printTable(rows);
    return 0;
  },
};

function rowOf(socket: SocketFact): string[] {
  const { protocol, state, receiveQueue, sendQueue, local, remote, timer, session, user, commands } = socket;
  return [
    protocol,
    state ?? "-",
    String(receiveQueue ?? "-"),
    String(sendQueue ?? "-"),
    local,
    remote ?? "*",
    timer ? `${timer.name} ${timer.seconds.toFixed(1)}s${timer.count > 0 ? ` (${timer.count})` : ""}` : "-",
    session ?? "-",
    user || "-",
    commands.join(",") || "-",
  ];
}
