import { jsonText } from "../base/bytes.ts";
import type { SessionFact, StreamFact } from "../server/control.ts";
import type { Subcommand } from "./args.ts";
import { ask, CONTROL_CLIENT_OPTIONS } from "./control_client.ts";
import { print } from "./output.ts";
import { printTable } from "./table.ts";
import { formatBytes, formatClock } from "./values.ts";

const HEAD = ["ID", "USER", "FROM", "AGE", "IDLE", "RECEIVED", "SENT", "RATE", "DOING"];

export const sessionsCommand: Subcommand = {
  name: "sessions",
  usage: ["[--json]"],
  summary: "list who is on a running server of yours, and what each does",
  details: `A line for each client that was let in: its name (for fsh kick), user, address, how long it has been in and
without a request, bytes both ways, bytes per second just now, and each request that is under way with its path, the bytes
that it moved, and its age.

  fsh sessions
  fsh sessions --json | jq -r 'select(.user == "anna").id'`,
  options: CONTROL_CLIENT_OPTIONS,
  operands: { min: 0, max: 0 },

  async run(args, environment) {
    const rows = [HEAD];
    for await (const { session } of ask({ request: "sessions" }, { args, environment })) {
      if (session === undefined) continue;
      if (args.has("json")) print(jsonText(session));
      else rows.push(...rowsOf(session as SessionFact));
    }
    if (!args.has("json")) printTable(rows);
    return 0;
  },
};

/** A line for the session and its first request, and one for each further one. */
function rowsOf({ streams, requests, ...session }: SessionFact): string[][] {
  const { id, user, remote, since, idle, received, sent, rate } = session;
  const [first, ...others] = streams.map(doing);
  const more = requests - streams.length;
  const row = [
    id,
    user || "-",
    remote,
    formatClock((Date.now() - since) / 1000),
    requests > 0 ? "-" : formatClock(idle / 1000),
    formatBytes(received),
    formatBytes(sent),
    requests > 0 ? `${formatBytes(rate)}/s` : "-",
    first ?? "-",
  ];
  const below = more > 0 ? [...others, `and ${more} more`] : others;
  return [row, ...below.map((text) => [...row.slice(1).map(() => ""), text])];
}

function doing({ command, path, more, bytes, age }: StreamFact): string {
  const others = more > 0 ? ` and ${more} more` : "";
  return `${command} ${path}${others} ${formatBytes(bytes)} ${formatClock(age / 1000)}`;
}
