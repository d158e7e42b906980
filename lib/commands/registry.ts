import type { AnyCommand } from "../session/command.ts";
import type { RequestName } from "../wire/frames.ts";
import { getCommand } from "./get.ts";
import { hashCommand } from "./hash.ts";
import { readLinkCommand, symlinkCommand } from "./link.ts";
import { listCommand } from "./list.ts";
import { mkdirCommand } from "./mkdir.ts";
import { moveCommand } from "./move.ts";
import { putCommand } from "./put.ts";
import { removeCommand } from "./remove.ts";
import { getsCommand, putsCommand } from "./small_files.ts";
import { touchCommand } from "./touch.ts";
import { statCommand } from "./stat.ts";

/** Every request of the FRAMES table and who serves it; a request without a command does not compile. */
export const COMMANDS: Readonly<Record<RequestName, AnyCommand>> = {
  LIST: listCommand,
  STAT: statCommand,
  GET: getCommand,
  PUT: putCommand,
  MKDIR: mkdirCommand,
  REMOVE: removeCommand,
  MOVE: moveCommand,
  HASH: hashCommand,
  GETS: getsCommand,
  PUTS: putsCommand,
  READLINK: readLinkCommand,
  SYMLINK: symlinkCommand,
  TOUCH: touchCommand,
};
