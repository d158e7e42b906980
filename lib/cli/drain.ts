import { jsonText } from "../base/bytes.ts";
import type { LoadFact } from "../server/control.ts";
import type { Subcommand } from "./args.ts";
import { ask, CONTROL_CLIENT_OPTIONS } from "./control_client.ts";
import { print } from "./output.ts";

export const drainCommand: Subcommand = {
  name: "drain",
  usage: ["[--wait]"],
  summary: "end a running server of yours, once its transfers are done",
  details:
    `Does what SIGTERM does: no new sessions, what runs may finish within the server's --drain-timeout, the rest is
told that the server goes away, and the server ends. --wait tells how far that has come, until no session is left.

  fsh drain --wait`,
  options: [{ name: "wait", short: "w", help: "until no session is left" }, ...CONTROL_CLIENT_OPTIONS],
  operands: { min: 0, max: 0 },

  async run(args, environment) {
    const wait = args.has("wait");
    let last = "";
    for await (const { draining, done } of ask({ request: "drain", wait }, { args, environment })) {
      const line = draining === undefined ? "drained: no session is left" : lineOf(draining as Draining);
      const news = line !== last && (draining !== undefined || wait);
      if (args.has("json")) print(jsonText(draining ?? done));
      else if (news) print(line);
      last = line;
    }
    return 0;
  },
};

/** `limit`: milliseconds, 0: none. */
type Draining = LoadFact & { readonly limit: number };

function lineOf({ sessions, requests, limit }: Draining): string {
  const time = limit === 0 ? "without a limit" : `for ${limit / 1000} s at the most`;
  return `draining ${time}: ${sessions} sessions, ${requests} requests under way`;
}
