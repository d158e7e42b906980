import { jsonText } from "../base/bytes.ts";
import { formatUrl } from "../client/url.ts";
import type { Subcommand } from "./args.ts";
import { CONNECTION_OPTIONS, remoteUrl, withClient } from "./connection.ts";
import { isoTime, modeText, timeText } from "./ls.ts";
import { print } from "./output.ts";

export const statCommand: Subcommand = {
  name: "stat",
  usage: ["[--json] URL"],
  summary: "show what a path is: type, size, time, permissions",
  details: `  fsh stat fsh://host/file`,
  options: [{ name: "json", help: "as one JSON object" }, ...CONNECTION_OPTIONS],
  operands: { min: 1, max: 1 },

  async run(args, environment) {
    const url = remoteUrl(args.operands[0] ?? "");
    const info = await withClient(url, args, environment, (client) => client.stat(url.path));
    if (args.has("json")) {
      print(jsonText({ path: url.path, ...info, modified: isoTime(info.modified) }));
      return 0;
    }
    print(`URL:      ${formatUrl(url)}`);
    print(`Type:     ${info.type}`);
    print(`Size:     ${info.size} bytes`);
    print(`Modified: ${timeText(info.modified)} UTC`);
    print(`Mode:     ${modeText(info)}`);
    return 0;
  },
};
