import { encodeMessage } from "../../lib/wire/codec.ts";
import {
  type FrameFields,
  type FrameName,
  frameRow,
  OPTION_CONTINUE,
  OPTION_NO_REPLACE,
  OPTION_PARENTS,
  type RequestName,
} from "../../lib/wire/frames.ts";
import type { Random } from "./random.ts";
import { joined, rawFrame } from "./raw_frame.ts";

/** One way to hand a path to the server: the frames of a request, all at once. */
export interface Spot {
  readonly request: RequestName;
  /** The field that names the path. */
  readonly field: string;
  /** Works on the name itself, not on what a link of that name leads to. */
  readonly onName?: true;
  readonly frames: (stream: number, path: string) => Uint8Array;
}

const NOTHING = new Uint8Array();
const CONTENT = new TextEncoder().encode("hostile");

function opening<N extends RequestName>(request: N, fields: (path: string) => FrameFields<N>) {
  return (stream: number, path: string) => encodeMessage(request, stream, fields(path), frameRow(request).fin === true);
}

const get = (path: string) => ({ path, algorithm: "crc32", length: null, options: 0, priority: 1 });

function put(options: number) {
  return (stream: number, path: string) => {
    const [algorithm, size] = ["none", CONTENT.length];
    const fields = { path, size, modified: 0, mode: 0o777, algorithm, options, key: options === 0 ? "" : "key" };
    return joined(
      encodeMessage("PUT", stream, fields),
      options & OPTION_CONTINUE ? encodeMessage("BEGIN", stream, { offset: 0 }) : NOTHING,
      dataFrame(stream, CONTENT),
      encodeMessage("END", stream, { size, algorithm, digest: NOTHING }, true),
    );
  };
}

function dataFrame(stream: number, bytes: Uint8Array): Uint8Array {
  return rawFrame({ type: frameRow("DATA").code, stream, payload: bytes });
}

function puts(options: number) {
  return (stream: number, path: string) => {
    const file = { code: 0, size: CONTENT.length, modified: 0, mode: 0o777, digest: NOTHING, content: CONTENT };
    const files = ["/ordinary", path].map((path) => ({ ...file, path }));
    const begin = encodeMessage("PUTS", stream, { algorithm: "none", options });
    return joined(begin, encodeMessage("FILES", stream, { files }, true));
  };
}

type PlainSpot = Omit<Spot, "request">;

/** Every field of every request that names a path, and the options that change what is done with it. */
const SPOTS: Readonly<Record<RequestName, readonly PlainSpot[]>> = {
  LIST: [
    { field: "path", frames: opening("LIST", (path) => ({ path, recursive: 0 })) },
    { field: "path", frames: opening("LIST", (path) => ({ path, recursive: 1 })) },
  ],
  STAT: [{ field: "path", frames: opening("STAT", (path) => ({ path })) }],
  GET: [
    { field: "path", frames: opening("GET", (path) => ({ ...get(path), offset: 0, prefix: NOTHING })) },
    { field: "path", frames: opening("GET", (path) => ({ ...get(path), offset: 5, prefix: NOTHING })) },
    { field: "path", frames: opening("GET", (path) => ({ ...get(path), offset: 5, prefix: new Uint8Array(4) })) },
  ],
  HASH: [
    {
      field: "path",
      frames: opening("HASH", (path) => ({ path, offset: 1, length: null, algorithm: "sha256" })),
    },
  ],
  READLINK: [{ field: "path", onName: true, frames: opening("READLINK", (path) => ({ path })) }],
  GETS: [
    {
      field: "paths",
      frames: opening("GETS", (path) => {
        return { algorithm: "crc32", limit: 65536, options: 0, paths: ["/ordinary", path, "/missing"] };
      }),
    },
  ],
  PUT: [
    { field: "path", onName: true, frames: put(0) },
    { field: "path", onName: true, frames: put(OPTION_PARENTS) },
    { field: "path", onName: true, frames: put(OPTION_CONTINUE | OPTION_PARENTS) },
    { field: "path", onName: true, frames: put(OPTION_NO_REPLACE) },
  ],
  PUTS: [
    { field: "files", onName: true, frames: puts(0) },
    { field: "files", onName: true, frames: puts(OPTION_PARENTS | OPTION_NO_REPLACE) },
  ],
  MKDIR: [
    { field: "path", onName: true, frames: opening("MKDIR", (path) => ({ path, options: 0 })) },
    { field: "path", frames: opening("MKDIR", (path) => ({ path, options: OPTION_PARENTS })) },
  ],
  REMOVE: [
    { field: "path", onName: true, frames: opening("REMOVE", (path) => ({ path, recursive: 0 })) },
    { field: "path", onName: true, frames: opening("REMOVE", (path) => ({ path, recursive: 1 })) },
  ],
  MOVE: [
    { field: "from", onName: true, frames: opening("MOVE", (from) => ({ from, to: "/moved", options: 0 })) },
    {
      field: "to",
      onName: true,
      frames: (stream, to) => {
        // What moves is made first; whoever overtakes finds it missing, which is an answer as well.
        return encodeMessage("MOVE", stream, { from: `/movable/${stream}`, to, options: 0 }, true);
      },
    },
    {
      field: "to",
      onName: true,
      frames: (stream, to) => {
        return encodeMessage("MOVE", stream, { from: `/movable/${stream}`, to, options: OPTION_NO_REPLACE }, true);
      },
    },
  ],
  SYMLINK: [
    { field: "path", onName: true, frames: opening("SYMLINK", (path) => ({ path, target: "ordinary" })) },
    {
      field: "target",
      frames: (stream, path) => {
        const fields = { path: `/made/${stream}`, target: path.startsWith("/own") ? `..${path}` : path };
        return encodeMessage("SYMLINK", stream, fields, true);
      },
    },
  ],
  TOUCH: [{ field: "path", frames: opening("TOUCH", (path) => ({ path, modified: 0, mode: 0o777 })) }],
};

/** All of them; fails if a field of the FRAMES table that names a path has none. */
export const ALL_SPOTS: readonly Spot[] = Object.entries(SPOTS).flatMap(([name, spots]) => {
  const request = name as RequestName;
  const fields = Object.entries(frameRow(request as FrameName).fields ?? {});
  for (const [field, type] of fields) {
    if ((type === "path" || type === "paths") && !spots.some((spot) => spot.field === field)) {
      throw new Error(`${request}.${field} names a path and is not attacked`);
    }
  }
  return spots.map((spot) => ({ ...spot, request }));
});

/** A link to outside and a path through it. */
export interface Trap {
  /** Links to plant, by name, in a folder of the served one; `up` leads to the served folder's parent from there. */
  readonly links: (up: string, parent: string) => Readonly<Record<string, string>>;
  /** The path below that folder, for something outside that is there, or is not. */
  readonly path: (there: boolean) => string;
  /** Whether the link is the last component. */
  readonly ends: boolean;
}

const name = (there: boolean) => there ? "inner" : "innes";
const marker = (there: boolean) => there ? "marker" : "markes";

/** Ways for a symbolic link to lead to the folder `private`. */
const FOLDER_LINKS: Readonly<Record<string, (up: string, parent: string) => Readonly<Record<string, string>>>> = {
  absolute: (_up, parent) => ({ link: `${parent}/private` }),
  relative: (up) => ({ link: `${up}/private` }),
  dotted: (up) => ({ link: `.//${up}/./served/../private/.` }),
  chained: (up) => ({ link: "hop", hop: "./hop2", hop2: `${up}/private` }),
  "by proc": (_up, parent) => ({ link: `/proc/self/root${parent}/private` }),
  "by the working folder": () => ({ link: "/proc/self/cwd/private" }),
  "by the working folder, chained": () => ({ link: "hop/private", hop: "/proc/self/cwd" }),
  "by a thread": () => ({ link: "/proc/thread-self/cwd/private" }),
};

export const TRAPS: readonly Trap[] = [
  ...Object.values(FOLDER_LINKS).flatMap((links): Trap[] => [
    { links, path: (there) => `link/${name(there)}`, ends: false },
    { links, path: (there) => `link/deep/${name(there)}`, ends: false },
    { links, path: (there) => `link/deep${there ? "" : "s"}/new`, ends: false },
    { links, path: (there) => `link/${name(there)}/below`, ends: false },
    { links, path: (there) => `link/${name(there)}/`, ends: false },
    { links, path: (there) => `link/${there ? "i*r" : "j*r"}`, ends: false },
    { links, path: () => "link", ends: true },
    { links, path: () => "link/", ends: true },
  ]),
  ...[true, false].flatMap((absolute): Trap[] => {
    const lead = (up: string, parent: string) => absolute ? parent : up;
    return [
      // Two links, of which one leads nowhere.
      {
        links: (up, parent) => ({
          yes: `${lead(up, parent)}/${marker(true)}`,
          non: `${lead(up, parent)}/${marker(false)}`,
        }),
        path: (there) => there ? "yes" : "non",
        ends: true,
      },
      {
        links: (up, parent) => ({ up: lead(up, parent) }),
        path: (there) => `up/${marker(there)}`,
        ends: false,
      },
      {
        links: (up, parent) => ({ up: lead(up, parent) }),
        path: (there) => `up/served/../${marker(there)}`,
        ends: false,
      },
      {
        links: (up, parent) => ({ up: lead(up, parent) }),
        path: (there) => `up/${there ? "served" : "serves"}/ordinary`,
        ends: false,
      },
    ];
  }),
  { links: () => ({ all: "/" }), path: (there) => there ? "all/etc" : "all/ets", ends: false },
  { links: () => ({ self: "/proc/self/fd" }), path: (there) => there ? "self/0" : "self/x", ends: false },
  { links: () => ({ self: "/proc/self" }), path: (there) => there ? "self/environ" : "self/environs", ends: false },
];

const PIECES = [
  ..."..|.||...|....|..;|..%2f|%2e%2e|%2e%2e%2f|%252e%252e|..\\|\\..\\|..%5c|..%c0%af|~|~root|$HOME|`id`|*|?".split(
    "|",
  ),
  ..."[a-z]*|{a,b}|**|C:|C:\\|con|NUL.txt|com1|a:b|file::$DATA|-rf|--|trailing.|trailing |proc|self|cwd|fd".split("|"),
  ..."etc|passwd|root|served|private|inner|.fsh-part-x|.FSH-PART-x|.ssh|ordinary|folder|\u2025|\uff0e\uff0e|\u2024\u2024|\uff0f|\u2215"
    .split("|"),
  "\u202e",
  "\x1b[2J",
  "\x1b]0;title\x07",
  "\x9b31m",
  "\n",
  "\r\n",
  "\t",
  "\x7f",
  "\0",
  "x\0y",
  "..\0",
  "\ufeff",
  "a".repeat(255),
  "a".repeat(256),
  "\u00e9".repeat(127),
  "\u00e9".repeat(128),
];
const BEGINNINGS = [
  "",
  "/",
  "/",
  "/",
  "//",
  "/./",
  "/../",
  "../",
  "/../../",
  "file://",
  "fsh://127.0.0.1/",
  "\\",
  "~/",
];

/** A path made at random, in two versions that differ by a name which is there outside, or is not. */
export function randomPath(random: Random, parent: string): (there: boolean) => string {
  const begin = random.chance(10) ? `${random.pick(["", "/", "/..", "//"])}${parent}/` : random.pick(BEGINNINGS);
  const middle = Array.from({ length: random.below(5) }, () => random.pick(PIECES));
  const climb = random.chance(40) ? Array.from({ length: 1 + random.below(12) }, () => "..") : [];
  const end = random.chance(30) ? random.pick(PIECES) : null;
  const [last, other] = random.pick([[marker(true), marker(false)], ["private/inner", "private/innes"]] as const);
  return (there) => {
    return (begin + [...middle, ...climb, there ? last : other, ...(end === null ? [] : [end])].join("/")).slice(
      0,
      1300,
    );
  };
}

/** Bytes that no UTF-8 has, or that lenient readers take for dots and slashes. */
export const BAD_BYTES: readonly (readonly number[])[] = [
  [0xc0, 0xae, 0xc0, 0xae],
  [0xe0, 0x80, 0xae],
  [0xc0, 0xaf],
  [0xf0, 0x80, 0x80, 0xaf],
  [0xc1, 0x9c],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xed, 0xb0, 0x80, 0xed, 0xa0, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0xae],
  [0xf4, 0x90, 0x80, 0x80],
  [0xff],
  [0x80],
  [0xe2, 0x82],
];
