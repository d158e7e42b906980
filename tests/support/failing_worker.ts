// A worker of `fsh serve --workers N` that fails when it is told so.
import { serveAsWorker } from "../../lib/server/workers/worker_loop.ts";
import type { MessageEnd } from "../../lib/base/message_link.ts";

globalThis.addEventListener("message", (event) => {
  const { data } = event as MessageEvent;
  if (data !== "fail") return;
  event.stopImmediatePropagation();
  // As an error that nobody catches.
  setTimeout(() => {
    throw new Error("told so");
  });
});
serveAsWorker(globalThis as unknown as MessageEnd);
