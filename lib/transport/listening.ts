import { native } from "../native/load.ts";
import type { GrantedOptions, SocketTuning } from "../native/socket_tuning.ts";

/** Where a socket listens, as the runtime names it. */
interface Place {
  readonly hostname: string;
  readonly port: number;
}

/**
 * Tunes what listens at a place, before it has offered anybody a window. Where several of this process share the port
 * (SO_REUSEPORT), it tunes all of them, which are to be alike.
 */
export function tuneListener({ hostname, port }: Place, tuning: SocketTuning): void {
  for (const listener of native().sockets?.findListeners({ hostname, port }) ?? []) listener.tune(tuning);
}

/** What the kernel has of the options of what listens there; null where it can't be asked. */
export function grantedAt({ hostname, port }: Place): GrantedOptions | null {
  return native().sockets?.findListeners({ hostname, port })[0]?.granted() ?? null;
}
