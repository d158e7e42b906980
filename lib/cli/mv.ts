import { isError } from "../base/errors.ts";
import type { Subcommand } from "./args.ts";
import { CONNECTION_OPTIONS, remoteUrl, sameServer, withClient } from "./connection.ts";

export const mvCommand: Subcommand = {
  name: "mv",
  usage: ["[-n] URL URL"],
  summary: "rename or move within a server",
  details: `Into a folder that is there, or to the new name. A file of that name is replaced.

  fsh mv fsh://host/old fsh://host/new
  FSH_URL=fsh://host fsh mv /report.pdf /archive/`,
  options: [
    { name: "no-replace", short: "n", help: "refuse rather than replace" },
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 2, max: 2 },

  async run(args, environment) {
    const from = remoteUrl(args.operands[0] ?? "");
    const to = remoteUrl(args.operands[1] ?? "");
    sameServer(from, to);
    const source = from.path.replace(/(?<=.)\/$/, "");
    await withClient(from, args, environment, async (client) => {
      let target = to.path;
      try {
        if ((await client.stat(target)).type === "directory") {
          target = target.replace(/\/?$/, "/") + source.slice(source.lastIndexOf("/") + 1);
        }
      } catch (error) {
        if (!isError(error, "NOT_FOUND")) throw error;
      }
      await client.move(source, target, { noReplace: args.has("no-replace") });
    });
    return 0;
  },
};
