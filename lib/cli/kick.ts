import { jsonText, printable } from "../base/bytes.ts";
import type { SessionFact } from "../server/control.ts";
import type { Subcommand } from "./args.ts";
import { ask, CONTROL_CLIENT_OPTIONS } from "./control_client.ts";
import { print } from "./output.ts";

export const kickCommand: Subcommand = {
  name: "kick",
  usage: ["[--reason TEXT] ID"],
  summary: "end a session on a running server of yours",
  details:
    `ID is what fsh sessions lists first. Whatever the client has under way ends; it is told why, exits with status
3, and does not try again by itself. Nothing half-written gets a final name; the part of an upload stays for --resume.
Nobody is shut out by it: that is for plugins (rate-guard) and accounts.

  fsh kick 12
  fsh kick --reason 'backups first, come back at six' 12`,
  options: [
    { name: "reason", value: "TEXT", help: "what the client is told; 256 bytes at the most" },
    ...CONTROL_CLIENT_OPTIONS,
  ],
  operands: { min: 1, max: 1 },

  async run(args, environment) {
    const [session = ""] = args.operands;
    const reason = args.has("reason") ? args.value("reason") : "";
    for await (const { done } of ask({ request: "kick", session, reason }, { args, environment })) {
      const kicked = (done as { readonly session: SessionFact }).session;
      if (args.has("json")) print(jsonText(kicked));
      else print(printable(`kicked ${kicked.id}: ${kicked.user || "nobody in particular"} from ${kicked.remote}`));
    }
    return 0;
  },
};
