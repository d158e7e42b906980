import { basename, resolve } from "@std/path";
import { FshError, isError } from "../base/errors.ts";
import { childPath, ROOT } from "../base/virtual_path.ts";
import type { Remote } from "../client/client.ts";
import { folderOf } from "../client/download.ts";
import { oneOfSeveral } from "../client/transfer.ts";
import { uploadFile, uploadFrom, type UploadOptions } from "../client/upload.ts";
import { uploadTree } from "../client/upload_tree.ts";
import { LocalStorage } from "../storage/local.ts";
import { osError } from "../storage/os_error.ts";
import type { Subcommand } from "./args.ts";
import { CONNECTION_OPTIONS, remoteUrl } from "./connection.ts";
import { Progress, PROGRESS_OPTIONS } from "./progress.ts";
import {
  finishTransfer,
  hintAtResume,
  refuseSameNames,
  TRANSFER_OPTIONS,
  transferOptions,
  withRetries,
} from "./transfer_options.ts";

export const putCommand: Subcommand = {
  name: "put",
  usage: ["[-r] FILE... URL"],
  summary: "put files or folders on a server",
  details:
    `FILE may be - for standard input; URL then names the file. If URL is a folder or ends in /, the files go into
it. A file appears under its name only once the server has all of it on disk and the digests agree.

  fsh put report.pdf fsh://host/
  fsh put *.jpg fsh://host/pictures/
  fsh put -r projects fsh://host/backup/
  tar c . | fsh put - fsh://host/backup.tar`,
  options: [
    { name: "recursive", short: "r", help: "folders with all that is in them" },
    { name: "parents", help: "make missing folders on the server" },
    ...TRANSFER_OPTIONS,
    ...PROGRESS_OPTIONS,
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 2, max: Infinity },

  async run(args, environment) {
    const files = args.operands.slice(0, -1);
    const url = remoteUrl(args.operands.at(-1) ?? "");
    refuseSameNames(files.map((file) => basename(resolve(file))));
    const progress = new Progress("put", args);
    const options: UploadOptions = {
      ...transferOptions(args, environment, progress),
      parents: args.has("parents"),
    };
    const waiting = [...files];
    let into: boolean | null = files.length > 1 || url.path.endsWith("/") || null;
    // Its one folder has no others in it.
    if (url.scheme === "classic") into ??= false;
    const work = async (client: Remote, again: boolean) => {
      const goOn = again ? { ...options, continue: true, update: true } : options;
      into ??= await isFolder(client, url.path) && !await isOurCopy(client, files[0] ?? "", url.path, goOn);
      for (let file; (file = waiting[0]) !== undefined; waiting.shift()) {
        const named = file;
        const job = () =>
          putOne(client, named, url.path, { ...goOn, into: into === true, recursive: args.has("recursive") });
        if (files.length === 1) await job();
        else await oneOfSeveral(file, progress, job);
      }
    };
    try {
      // Standard input can't be read again.
      await withRetries(url, args, environment, { progress, repeatable: !files.includes("-"), work });
    } catch (error) {
      if (!files.includes("-")) hintAtResume(error, args, "put");
      throw error;
    }
    return finishTransfer(progress, files.length, args);
  },
};

interface PutOneOptions extends UploadOptions {
  /** The URL is a folder: the file keeps its name. */
  readonly into: boolean;
  readonly recursive: boolean;
}

async function putOne(client: Remote, file: string, path: string, options: PutOneOptions): Promise<void> {
  const target = (name: string) => options.into ? path.replace(/\/?$/, "/") + name : path;
  if (file === "-") {
    if (options.into) throw new FshError("USAGE", { subject: path, detail: "standard input needs a file name there" });
    return await uploadFrom(client, { read: (buffer) => Deno.stdin.read(buffer) }, path, { ...options, size: null });
  }
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(file);
  } catch (error) {
    throw osError(error, file);
  }
  if (info.isDirectory) {
    if (!options.recursive) throw new FshError("IS_DIRECTORY", { subject: file, detail: "use -r to put a folder" });
    const storage = await LocalStorage.open(file, { prefix: file });
    try {
      return await uploadTree(client, { storage, path: ROOT }, target(basename(resolve(file))), options);
    } finally {
      storage.close();
    }
  }
  if (!info.isFile) throw new FshError("NOT_REGULAR", { subject: file });
  // Named by the user, a symbolic link is followed wherever it leads.
  const real = await Deno.realPath(file);
  const folder = folderOf(real);
  const storage = await LocalStorage.open(folder, { prefix: folder });
  try {
    const place = { storage, path: childPath(ROOT, basename(real)) };
    await uploadFile(client, place, target(basename(file)), options);
  } finally {
    storage.close();
  }
}

/** A folder that an interrupted put of this tree has made is the copy, not a place for another one. */
async function isOurCopy(client: Remote, file: string, path: string, options: UploadOptions): Promise<boolean> {
  if (!options.continue || !await isLocalFolder(file)) return false;
  return !await isFolder(client, path.replace(/\/?$/, "/") + basename(resolve(file)));
}

async function isLocalFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

async function isFolder(client: Remote, path: string): Promise<boolean> {
  try {
    return (await client.stat(path)).type === "directory";
  } catch (error) {
    if (isError(error, "NOT_FOUND", "NOT_DIRECTORY")) return false;
    throw error;
  }
}
