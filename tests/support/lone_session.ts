import { silentLog } from "../../lib/base/log.ts";
import { Session, type SessionOptions } from "../../lib/session/session.ts";
import { memoryPair } from "../../lib/transport/memory.ts";
import { RawPeer } from "./raw_peer.ts";

const WITHOUT_TIMERS = { handshakeTimeout: 0, idleTimeout: 0, stallTimeout: 0 };

/** A server's session with no server around it, which admits everybody, and the peer that it talks to. */
export function loneSession(options: Partial<SessionOptions>): { session: Session; peer: RawPeer } {
  const [near, far] = memoryPair();
  const session = new Session(near, {
    role: "server",
    log: silentLog,
    limits: { window: 256 * 1024, maxStreams: 8, heartbeat: 0, misses: 1 },
    agent: "test",
    methods: ["anonymous"],
    authenticate: () => Promise.resolve({ user: { name: "" } }),
    admit: () => "1",
    ...WITHOUT_TIMERS,
    ...options,
  });
  return { session, peer: new RawPeer(far) };
}
