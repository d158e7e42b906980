import type { SessionFact, SocketFact, SocketState } from "./control.ts";

/** Names of requests that are told of one socket. */
const MOST_COMMANDS = 4;

/**
 * Sockets, and whose they are. `rows`: what the system tells; null: nothing, so that only what sessions have is known.
 * Sessions over QUIC share a socket: each has a row besides.
 */
export function socketFacts(
  rows: readonly SocketState[] | null,
  sessions: readonly SessionFact[],
): readonly SocketFact[] {
  const bySocket = new Map(sessions.map((session) => [key(session), session]));
  const known = sessions.filter(({ protocol }) => rows === null || protocol === "quic").map(knownState);
  return [...rows ?? [], ...known].map((row) => {
    const session = bySocket.get(key(row));
    return {
      ...row,
      session: session?.id ?? null,
      user: session?.user ?? null,
      commands: [...new Set(session?.streams.map(({ command }) => command))].slice(0, MOST_COMMANDS),
    };
  });
}

function key({ protocol, local, remote }: Pick<SocketState, "protocol" | "local" | "remote">): string {
  return `${protocol} ${local} ${remote}`;
}

function knownState({ protocol, local, remote }: SessionFact): SocketState {
  return { protocol, local, remote, state: null, receiveQueue: null, sendQueue: null, timer: null };
}
