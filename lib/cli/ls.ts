import { jsonText } from "../base/bytes.ts";
import { isError } from "../base/errors.ts";
import type { Remote } from "../client/client.ts";
import type { ListOptions } from "../commands/list.ts";
import type { FshUrl } from "../client/url.ts";
import type { Entry } from "../wire/field.ts";
import type { Subcommand } from "./args.ts";
import { withRemote } from "./classic_connection.ts";
import { CONNECTION_OPTIONS, remoteUrl } from "./connection.ts";
import { NAME_OPTIONS, nameLimit } from "./name_options.ts";
import { displayName, note, printAll } from "./output.ts";

/** More names than this are printed as they come, so that a huge folder needs no memory here. */
const SORTED = 50_000;
/** The same for names that are long, in characters of all of them. */
const SORTED_TEXT = 16 * 1024 * 1024;

export const lsCommand: Subcommand = {
  name: "ls",
  usage: ["[-l] [-R] [--json] URL"],
  summary: "list a folder, or show one file",
  details: `Names are sorted; of a folder with more than ${SORTED} entries they come as the server has them.

  fsh ls fsh://host/
  fsh ls -lR fsh://host/projects      sizes and times, everything below
  fsh ls --json /projects             one JSON object per name; the server is in FSH_URL`,
  options: [
    { name: "long", short: "l", help: "type, permissions, size in bytes and time as well" },
    { name: "recursive", short: "R", help: "everything below, named by relative paths" },
    { name: "json", help: "one JSON object per line" },
    ...NAME_OPTIONS,
    ...CONNECTION_OPTIONS,
  ],
  operands: { min: 1, max: 1 },

  async run(args, environment) {
    const url = remoteUrl(args.operands[0] ?? "");
    const limit = nameLimit(args);
    const show = args.has("json") ? jsonLine : args.has("long") ? longLine : shortLine;
    return await withRemote(url, args, environment, async (client) => {
      const skipped = await showAll(
        client,
        url,
        { recursive: args.has("recursive"), count: (names) => limit.count(names) },
        (entries) => printAll(entries.map((entry) => show(entry) + "\n").join("")),
      );
      if (skipped === 0) return 0;
      note(`fsh: ${skipped} names left out: they are not Unicode, or a folder could not be read`);
      return 7;
    });
  },
};

async function showAll(
  client: Remote,
  url: FshUrl,
  options: ListOptions,
  show: (entries: readonly Entry[]) => Promise<void>,
): Promise<number> {
  const waiting: Entry[] = [];
  let text = 0;
  let sorting = true;
  const flush = () => show(waiting.splice(0).sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const listing = client.list(url.path, options);
  for (;;) {
    let page: Awaited<ReturnType<typeof listing.next>>;
    try {
      page = await listing.next();
    } catch (error) {
      if (!isError(error, "NOT_DIRECTORY")) throw error;
      await show([{ ...await client.stat(url.path), name: url.path.slice(url.path.lastIndexOf("/") + 1) }]);
      return 0;
    }
    if (page.done) {
      await flush();
      return page.value.skipped;
    }
    if (!sorting) await show(page.value);
    else {
      for (const entry of page.value) {
        waiting.push(entry);
        text += entry.name.length;
      }
      if (waiting.length > SORTED || text > SORTED_TEXT) {
        sorting = false;
        await flush();
      }
    }
  }
}

function shortLine(entry: Entry): string {
  return displayName(entry.name) + (entry.type === "directory" ? "/" : "");
}

function longLine(entry: Entry): string {
  // A classic server does not tell it.
  const size = (Number.isNaN(entry.size) ? "?" : String(entry.size)).padStart(13);
  return `${modeText(entry)} ${size} ${timeText(entry.modified)} ${shortLine(entry)}`;
}

function jsonLine(entry: Entry): string {
  return jsonText({ ...entry, modified: isoTime(entry.modified) });
}

/** RFC 3339, or null for a time that is not known or that no Date holds. */
export function isoTime(modified: number | null): string | null {
  const date = new Date(modified ?? NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** As `ls -l` does: `-rw-r--r--`. */
export function modeText({ type, mode }: Pick<Entry, "type" | "mode">): string {
  const kind = { file: "-", directory: "d", symlink: "l", other: "?" }[type];
  if (mode === null) return kind + "?????????";
  let text = kind;
  for (let bit = 8; bit >= 0; bit--) text += mode & (1 << bit) ? "xwr"[bit % 3] : "-";
  return text;
}

/** `2026-01-31 09:00:00` in UTC. */
export function timeText(modified: number | null): string {
  if (modified === null) return "-".padEnd(19);
  const date = new Date(modified);
  return Number.isNaN(date.getTime()) ? "?".padEnd(19) : date.toISOString().slice(0, 19).replace("T", " ");
}
