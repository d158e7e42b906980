import type { Subcommand } from "./args.ts";
import { CONNECTION_OPTIONS, remoteUrl, withClient } from "./connection.ts";

export const mkdirCommand: Subcommand = {
  name: "mkdir",
  usage: ["[-p] URL"],
  summary: "make a folder",
  details: `  fsh mkdir -p fsh://host/a/b/c`,
  options: [
    { name: "parents", short: "p", help: "make missing folders above it, too; one that is there is fine" },
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 1, max: 1 },

  async run(args, environment) {
    const url = remoteUrl(args.operands[0] ?? "");
    const parents = args.has("parents");
    await withClient(url, args, environment, (client) => client.mkdir(url.path, { parents }));
    return 0;
  },
};
