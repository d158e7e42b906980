import type { FshError } from "../base/errors.ts";

/** How a session ended: told apart in logs and errors. */
export interface SessionEnd {
  /** `graceful`: said and done; `abrupt`: reset or cut; `timed-out`: no answer; `breach`: somebody broke the protocol. */
  readonly how: "graceful" | "abrupt" | "timed-out" | "breach";
  readonly error: FshError | null;
}

/** The kind of end that an error makes. */
export function endOf(error: FshError): SessionEnd {
  switch (error.error) {
    case "GOING_AWAY":
    case "IDLE_TIMEOUT":
    case "KICKED":
      return { how: "graceful", error };
    case "PEER_TIMEOUT":
    case "LINK_TIMEOUT":
    case "HANDSHAKE_TIMEOUT":
    case "STALLED":
    case "TOO_SLOW":
    case "HOLDS_MEMORY":
      return { how: "timed-out", error };
    case "CONNECTION_LOST":
    case "CONNECTION_RESET":
    case "INTERRUPTED":
      return { how: "abrupt", error };
    default:
      return { how: "breach", error };
  }
}
