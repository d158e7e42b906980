import { basename } from "@std/path";
import { ERRORS, FshError } from "../base/errors.ts";
import { childPath, ROOT } from "../base/virtual_path.ts";
import { folderOf } from "../client/download.ts";
import { type Verdict, verifyFile, verifyTree } from "../client/verify.ts";
import { LocalStorage } from "../storage/local.ts";
import { osError } from "../storage/os_error.ts";
import type { Subcommand } from "./args.ts";
import { CONNECTION_OPTIONS, remoteUrl, withClient } from "./connection.ts";
import { NAME_OPTIONS, nameLimit } from "./name_options.ts";
import { displayName, note, print } from "./output.ts";
import { parseChoice } from "./values.ts";

export const verifyCommand: Subcommand = {
  name: "verify",
  usage: ["[-r] LOCAL URL"],
  summary: "compare what is here with what is there, by digest",
  details:
    `Both sides read, nothing is transferred. A line for each file that differs or is only on one side; exit status 6
if there is any.

  fsh verify report.pdf fsh://host/report.pdf
  fsh verify -r photos fsh://host/backup/photos`,
  options: [
    { name: "recursive", short: "r", help: "folders with all that is in them" },
    { name: "checksum", value: "NAME", default: "sha256", help: "sha256, or crc32, which is faster" },
    { name: "quiet", short: "q", help: "only the exit status" },
    ...NAME_OPTIONS,
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 2, max: 2 },

  async run(args, environment) {
    const [local = "", remote = ""] = args.operands;
    const url = remoteUrl(remote);
    const counts: Record<Verdict, number> = { same: 0, differs: 0, "only here": 0, "only there": 0 };
    const options = {
      algorithm: parseChoice("checksum", args.value("checksum"), ["sha256", "crc32"]),
      signal: environment.signal,
      names: nameLimit(args),
      found(path: string, verdict: Verdict) {
        counts[verdict]++;
        if (verdict !== "same" && !args.has("quiet")) print(`${verdict}: ${displayName(path)}`);
      },
    };
    await withClient(url, args, environment, async (client) => {
      if (await isFolder(local)) {
        if (!args.has("recursive")) {
          throw new FshError("IS_DIRECTORY", { subject: local, detail: "use -r to compare folders" });
        }
        using storage = disposable(await LocalStorage.open(local, { prefix: local }));
        await verifyTree(client, { storage: storage.storage, path: ROOT }, url.path, options);
      } else {
        const folder = folderOf(local);
        using storage = disposable(await LocalStorage.open(folder, { prefix: folder }));
        const place = { storage: storage.storage, path: childPath(ROOT, basename(local)) };
        options.found(local, await verifyFile(client, place, url.path, options));
      }
    });
    const wrong = counts.differs + counts["only here"] + counts["only there"];
    if (!args.has("quiet")) {
      note(
        `${counts.same} same, ${counts.differs} differ, ${counts["only here"]} only here, ` +
          `${counts["only there"]} only there (${options.algorithm})`,
      );
    }
    return wrong > 0 ? ERRORS.DIGEST_MISMATCH.exit : 0;
  },
};

function disposable(storage: LocalStorage): { storage: LocalStorage } & Disposable {
  return { storage, [Symbol.dispose]: () => storage.close() };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    throw osError(error, path);
  }
}
