import type { FshError } from "../base/errors.ts";
import type { CommandStream } from "../session/command.ts";
import type { Session } from "../session/session.ts";

/** A request under way, of whatever protocol. */
export interface ServedStream extends CommandStream {
  /** Names it among those of its session. */
  readonly id: number;
  /** Bytes of content so far. */
  readonly moved: number;
}

/** What a server needs of a conversation with a client, whatever that speaks. */
export interface Served extends
  Pick<
    Session,
    | "start"
    | "ended"
    | "local"
    | "remote"
    | "protocol"
    | "terms"
    | "identity"
    | "claim"
    | "received"
    | "sent"
    | "openStreams"
    | "carried"
    | "close"
    | "dismiss"
  > {
  /** The transfers that wait for the client now; none while it is this side that does not read. */
  waiting(): readonly { fail(error: FshError): void }[];
}
