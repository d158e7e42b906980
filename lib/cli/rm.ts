import type { Subcommand } from "./args.ts";
import { CONNECTION_OPTIONS, remoteUrl, withClient } from "./connection.ts";

export const rmCommand: Subcommand = {
  name: "rm",
  usage: ["[-r] URL"],
  summary: "remove a file or a folder",
  details: `An empty folder goes as it is; one with something in it needs -r. A symbolic link is removed itself.

  fsh rm fsh://host/file
  fsh rm -r fsh://host/folder`,
  options: [
    { name: "recursive", short: "r", help: "remove a folder with all that is in it" },
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 1, max: 1 },

  async run(args, environment) {
    const url = remoteUrl(args.operands[0] ?? "");
    const recursive = args.has("recursive");
    await withClient(url, args, environment, (client) => client.remove(url.path, { recursive }));
    return 0;
  },
};
