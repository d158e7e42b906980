// The inside of a worker of `fsh serve --workers N`: an event loop of its own, which the main thread tells what to serve.
import { serveAsWorker } from "../server/workers/worker_loop.ts";
import type { MessageEnd } from "../base/message_link.ts";
import { native } from "../native/load.ts";

serveAsWorker(globalThis as unknown as MessageEnd, () => native().heap?.trim());
