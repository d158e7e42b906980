import { toHex } from "../base/bytes.ts";
import type { Subcommand } from "./args.ts";
import { CONNECTION_OPTIONS, remoteUrl, withClient } from "./connection.ts";
import { displayName, print } from "./output.ts";
import { parseChoice } from "./values.ts";

export const hashCommand: Subcommand = {
  name: "hash",
  usage: ["[--algorithm NAME] URL"],
  summary: "print the SHA-256 of a remote file, as sha256sum does",
  details: `The server reads the file; its bytes don't cross the network.

  fsh hash fsh://host/file`,
  options: [
    { name: "algorithm", value: "NAME", default: "sha256", help: "sha256 or crc32" },
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 1, max: 1 },

  async run(args, environment) {
    const url = remoteUrl(args.operands[0] ?? "");
    const algorithm = parseChoice("algorithm", args.value("algorithm"), ["sha256", "crc32"]);
    const sum = await withClient(url, args, environment, (client) => client.hash(url.path, { algorithm }));
    print(`${toHex(sum.digest)}  ${displayName(url.path)}`);
    return 0;
  },
};
