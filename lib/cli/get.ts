import { basename } from "@std/path";
import { FshError, isError } from "../base/errors.ts";
import { childPath, ROOT, type SafePath } from "../base/virtual_path.ts";
import type { Remote } from "../client/client.ts";
import {
  downloadFile,
  downloadTo,
  fileSink,
  folderOf,
  newSinkState,
  outputError,
  type SinkState,
} from "../client/download.ts";
import { downloadTree } from "../client/download_tree.ts";
import { expandPattern, hasPattern } from "../client/selection.ts";
import type { NameLimit } from "../client/name_limit.ts";
import { type LocalPlace, oneOfSeveral, type TransferOptions } from "../client/transfer.ts";
import { type FshUrl, isUrl } from "../client/url.ts";
import type { Sink } from "../session/command.ts";
import { LocalStorage } from "../storage/local.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { osError } from "../storage/os_error.ts";
import type { Args, Subcommand } from "./args.ts";
import { CONNECTION_OPTIONS, remoteUrl, serverKey } from "./connection.ts";
import { NAME_OPTIONS, nameLimit } from "./name_options.ts";
import { Progress, PROGRESS_OPTIONS } from "./progress.ts";
import { REPLACE_OPTIONS, replaceOptions } from "./replace_options.ts";
import {
  finishTransfer,
  hintAtResume,
  refuseSameNames,
  TRANSFER_OPTIONS,
  transferOptions,
  withRetries,
} from "./transfer_options.ts";

export const getCommand: Subcommand = {
  name: "get",
  usage: ["[-r] URL... [DEST]"],
  summary: "get files or folders from a server",
  details: `DEST is a file, a folder, or - for standard output; without it, this folder. A file appears under its name
only once all of it is there and its digest agrees with the server's. What is there already stays: --force replaces
it, --update replaces what differs, --resume what it goes on with; without them a terminal is asked.

  fsh get fsh://host/report.pdf
  fsh get fsh://host/a fsh://host/b downloads/
  fsh get -r fsh://host/projects .
  fsh get 'fsh://host/logs/*.gz' logs/
  fsh get -r --exclude .git --exclude '*.tmp' fsh://host/src .
  fsh get --force fsh://host/report.pdf
  fsh get fsh://host/backup.tar - | tar x
  FSH_URL=fsh://host fsh get /report.pdf .

With FSH_URL set, a last argument that begins with / is DEST if it is not the only one.`,
  options: [
    { name: "recursive", short: "r", help: "folders with all that is in them" },
    ...REPLACE_OPTIONS,
    ...TRANSFER_OPTIONS,
    {
      name: "durability",
      value: "HOW",
      default: "none",
      help: "file: on disk before it counts as done; none: left to the system",
    },
    ...NAME_OPTIONS,
    ...PROGRESS_OPTIONS,
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 1, max: Infinity },

  async run(args, environment) {
    const { sources, destination } = splitOperands(args.operands);
    const progress = new Progress("got", args, { dataOnOutput: destination === "-" });
    const options = {
      ...transferOptions(args, environment, progress),
      ...replaceOptions(args, { environment, progress }),
      names: nameLimit(args),
    };
    let several = sources.length > 1;
    try {
      for (const group of Object.values(Object.groupBy(sources, serverKey))) {
        const [first] = group ?? [];
        if (!first) continue;
        let waiting: { path: string; state: SinkState }[] | null = null;
        const work = async (client: Remote, again: boolean) => {
          if (waiting === null) {
            const paths = await expandAll(client, group ?? [], options.names);
            several ||= paths.length > 1 || paths[0] !== first.path;
            waiting = paths.map((path) => ({ path, state: newSinkState(options.algorithm ?? "crc32") }));
            refuseSameNames(paths.map(lastName));
          }
          const goOn = again ? { ...options, continue: true, update: true } : options;
          for (let next; (next = waiting[0]); waiting.shift()) {
            const { path, state } = next;
            const job = () => getOne(client, path, { destination, several, state }, args, goOn);
            if (several) await oneOfSeveral(path, progress, job);
            else await job();
          }
        };
        await withRetries(first, args, environment, { progress, work });
      }
    } catch (error) {
      if (destination !== "-") hintAtResume(error, args, "get");
      throw error;
    }
    return finishTransfer(progress, sources.length, args);
  },
};

function splitOperands(operands: readonly string[]): { sources: FshUrl[]; destination: string } {
  const last = operands.at(-1) ?? "";
  const hasDestination = operands.length > 1 && !isUrl(last);
  const sources = (hasDestination ? operands.slice(0, -1) : operands).map(remoteUrl);
  return { sources, destination: hasDestination ? last : "." };
}

/** The paths that the URLs mean; a path with patterns means what matches, unless something has that very name. */
async function expandAll(client: Remote, urls: readonly FshUrl[], names: NameLimit): Promise<string[]> {
  const paths: string[] = [];
  for (const { path } of urls) {
    if (!hasPattern(path) || await exists(client, path)) {
      paths.push(path);
      continue;
    }
    const found = await expandPattern(client, path, names);
    if (found.length === 0) throw new FshError("NOT_FOUND", { subject: path, detail: "nothing matches" });
    paths.push(...found);
  }
  return paths;
}

async function exists(client: Remote, path: string): Promise<boolean> {
  try {
    await client.stat(path);
    return true;
  } catch (error) {
    if (isError(error, "NOT_FOUND", "NOT_DIRECTORY")) return false;
    throw error;
  }
}

async function getOne(
  client: Remote,
  remote: string,
  target: { destination: string; several: boolean; state: SinkState },
  args: Args,
  options: TransferOptions,
): Promise<void> {
  const { destination, several, state } = target;
  const name = lastName(remote);
  if (destination === "-") return await downloadTo(client, remote, { sink: standardOutput(), state }, options);

  const recursive = args.has("recursive");
  const isTree = recursive && (await client.stat(remote)).type === "directory";
  const what = await kindOf(destination);
  if (what === "device" && !isTree) {
    using file = await Deno.open(destination, { write: true });
    // Into a FIFO a write may wait for ever; a device takes it at once.
    const waits = (await file.stat()).isFifo === true;
    const sink = waits ? fileSink(file, destination) : syncSink(file, destination);
    return await downloadTo(client, remote, { sink, state }, options);
  }
  // A folder that an interrupted get of this tree has made is the copy, not a place for another one.
  const isOurCopy = async () => isTree && options.continue === true && await kindOf(`${destination}/${name}`) === null;
  const into = destination.endsWith("/") || several || (what === "directory" && !await isOurCopy());
  if (!isTree && name === "") {
    throw new FshError("IS_DIRECTORY", { subject: remote, detail: "use -r to get a folder" });
  }

  // A rehearsal into a folder that is not there must not make it.
  const nowhere = options.dryRun === true && what === null;
  const made = into && what === null && !nowhere;
  if (made) await makeLocalFolder(destination);
  // A symbolic link that the user named is written through, as cp does.
  const copy = what === "file" ? await Deno.realPath(destination) : destination;
  const place = nowhere
    ? { storage: new MemoryStorage(), path: isTree ? ROOT : childPath(ROOT, name) }
    : await openPlace(copy, into ? name : null, isTree, args);
  try {
    if (isTree) await downloadTree(client, remote, place, options);
    else await downloadFile(client, remote, place, options);
  } catch (error) {
    // Gone only if nothing is in it.
    if (made) await Deno.remove(destination).catch(() => {});
    if (!recursive && isError(error, "IS_DIRECTORY") && error.remote) {
      throw new FshError("IS_DIRECTORY", { subject: remote, detail: "use -r to get a folder" });
    }
    throw error;
  } finally {
    place.storage.close();
  }
}

/** Opens the folder that the copy goes into. `name`: the copy's name there; null: the destination is the copy itself. */
async function openPlace(destination: string, name: string | null, isTree: boolean, args: Args): Promise<LocalPlace> {
  const durability = args.value("durability") === "file" ? "file" : "none";
  if (name === null && isTree) {
    await makeLocalFolder(destination);
    return { storage: await LocalStorage.open(destination, { durability, prefix: destination }), path: ROOT };
  }
  const folder = name === null ? folderOf(destination) : destination;
  const child = name === null ? basename(destination) : name;
  const path: SafePath = child === "" ? ROOT : childPath(ROOT, child);
  return { storage: await LocalStorage.open(folder, { durability, prefix: folder }), path };
}

async function makeLocalFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw osError(error, path);
  }
}

const STDOUT = "standard output";

function lastName(path: string): string {
  return path.replace(/\/$/, "").split("/").at(-1) ?? "";
}

/** What lies at a local path; null: nothing. */
async function kindOf(path: string): Promise<"file" | "directory" | "device" | null> {
  try {
    const info = await Deno.stat(path);
    return info.isFile ? "file" : info.isDirectory ? "directory" : "device";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw osError(error, path);
  }
}

/** Into a file or /dev/null each write returns at once; into a pipe it may not, and must not hold up the heartbeat. */
function standardOutput(): Sink {
  let waits = true;
  try {
    const info = Deno.statSync("/dev/stdout");
    waits = !(info.isFile || (info.isCharDevice && !Deno.stdout.isTerminal()));
  } catch {
    // A platform without /dev/stdout.
  }
  return waits ? fileSink(Deno.stdout, STDOUT) : syncSink(Deno.stdout, STDOUT);
}

function syncSink(file: { writeSync(bytes: Uint8Array): number }, name: string): Sink {
  return (chunk) => {
    try {
      for (let at = 0; at < chunk.length;) at += file.writeSync(at === 0 ? chunk : chunk.subarray(at));
    } catch (error) {
      throw outputError(error, name);
    }
  };
}
