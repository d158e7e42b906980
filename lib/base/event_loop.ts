import { setImmediate } from "node:timers";

/** Milliseconds for which sockets may go unlooked at. */
const UNSEEN = 8;
/** When the loop last looked at them, as `performance.now()` has it. */
let looked = -Infinity;

/**
 * Calls once everything else that is due has happened, for work that goes on in pieces. A loop that has something to run
 * at once looks at sockets only every 61st time (event_interval of tokio's runtime::Builder): with `setImmediate` alone
 * between pieces of some milliseconds, an answer takes a fifth of a second. A timer makes the loop wait, and look; as that
 * takes two milliseconds, it is set only now and then.
 */
export function afterEvents(call: () => void): void {
  if (performance.now() - looked < UNSEEN) return void setImmediate(call);
  setTimeout(() => {
    looked = performance.now();
    call();
  }, 0);
}
