import { jsonText, printable } from "../base/bytes.ts";
import { ERRORS } from "../base/errors.ts";
import type { ReloadFact } from "../server/control.ts";
import type { Subcommand } from "./args.ts";
import { ask, CONTROL_CLIENT_OPTIONS } from "./control_client.ts";
import { print } from "./output.ts";

export const reloadCommand: Subcommand = {
  name: "reload",
  usage: ["[--json]"],
  summary: "have a running server of yours load plugins and certificates anew",
  details:
    `Does what SIGHUP does, and says what came of it, a line for each. What can't be used leaves the old in force:
exit status 7, or 1 if nothing could be used.

  fsh reload`,
  options: CONTROL_CLIENT_OPTIONS,
  operands: { min: 0, max: 0 },

  async run(args, environment) {
    const outcomes: ReloadFact[] = [];
    for await (const { reloaded } of ask({ request: "reload" }, { args, environment })) {
      if (reloaded === undefined) continue;
      const outcome = reloaded as ReloadFact;
      outcomes.push(outcome);
      if (args.has("json")) print(jsonText(outcome));
      else print(printable(textOf(outcome)));
    }
    if (outcomes.length === 0 && !args.has("json")) print("there is nothing to load anew");
    const failed = outcomes.filter(({ error }) => error !== null).length;
    if (failed === 0) return 0;
    return failed === outcomes.length ? ERRORS.PLUGIN_FAILED.exit : ERRORS.PARTIAL.exit;
  },
};

function textOf({ what, error }: ReloadFact): string {
  return error === null ? `${what}: loaded` : `${what}: can't be used, the one before stays: ${error}`;
}
