import { assert, assertEquals, assertMatch } from "@std/assert";
import { entryBytes } from "../../lib/wire/field.ts";
import { HEADER_BYTES } from "../../lib/wire/frames.ts";
import { zstdCompressSync } from "node:zlib";
import { type Case, type Place, runCases } from "../support/hostile_case.ts";
import { endOf, packed, type Script, THEN } from "../support/hostile_server.ts";
import { rawFrame } from "../support/raw_frame.ts";
import type { RawPeer } from "../support/raw_peer.ts";

const text = (content: string) => new TextEncoder().encode(content);
const SMALL = text("from the server\n");
/** Too large to come with others. */
const LARGE = new Uint8Array(100_000).fill(120);
/** Every combination, not only one of a kind. */
const LONG = Deno.env.get("FSH_LONG") === "1";
const REFUSED = /not acceptable|name too long/;
/** Frame types, as PROTOCOL.md has them. */
const TYPE = { READY: 0x04, PING: 0x08, DATA: 0x10, LIST: 0x20, FILES: 0x18, ENTRIES: 0x12 };

const once = (...args: string[]) => (url: string, { dest }: Place) => [...args, "--retries", "0", `${url}tree`, dest];
const single =
  (...options: string[]) => (url: string, { dest }: Place) => ["get", "--retries", "0", ...options, `${url}file`, dest];

const NAMES = [
  "..",
  ".",
  "../marker",
  "../../marker",
  "a/../../../marker",
  "a/..",
  "./a",
  "a//b",
  "/etc/fsh-hostile",
  "//a",
  "///////////////////////////////a",
  "",
  ".fsh-part-0123",
  "a/.fsh-part-0123",
  "a\0b",
  "x".repeat(256),
  `${"x".repeat(255)}/..`,
  "../outside/new",
];

Deno.test("names that lead out, or are none, are refused one by one, and what is good arrives", async () => {
  const kinds: readonly [string, Script, readonly string[]][] = [
    ["a small file", { content: SMALL }, []],
    ["a large file", { content: LARGE }, []],
    ["a folder", { content: SMALL }, []],
    ["a link, copied", { content: SMALL }, ["--links", "copy"]],
    ["a link, followed", { content: SMALL }, ["--links", "follow"]],
  ];
  const cases: Case[] = [];
  for (const [index, [kind, script, options]] of kinds.entries()) {
    const type = index < 2 ? "file" : index === 2 ? "directory" : "symlink";
    for (const names of index === 0 && LONG ? NAMES.map((name) => [name]) : [NAMES]) {
      cases.push({
        name: `${kind} named ${names.length > 1 ? "all of them" : JSON.stringify(names[0]?.slice(0, 40))}`,
        script: { ...script, entries: [...names.map((name) => ({ name, type }) as const), { name: "good" }] },
        args: once("get", "-r", "--include", "*", "--exclude", "*.tmp", ...options),
        exit: 7,
        error: REFUSED,
        leaves: ["tree/", "tree/good"],
      });
    }
  }
  await runCases(cases);
});

Deno.test("names that patterns match are names of one component, or nothing", async () => {
  const entries = [...NAMES.map((name) => ({ name })), { name: "good" }, { name: ".good" }, { name: "good" }];
  const cases = ["*", ".*"].map((pattern): Case => ({
    name: pattern,
    script: {
      content: SMALL,
      entries,
      answers: {
        // Nothing has that very name.
        STAT: (peer, { stream }) => peer.send("ERROR", stream, { code: 100, subject: "", detail: "" }),
      },
    },
    args: (url, { dest }) => ["get", "--retries", "0", `${url}${pattern}`, `${dest}/`],
    exit: 0,
    leaves: [pattern === "*" ? "good" : ".good"],
  }));
  await runCases(cases);
});

Deno.test("odd names that Linux allows are ordinary names", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const odd = [
    "..\\..\\marker",
    "C:\\marker",
    "CON",
    "a ",
    "...",
    "-rf",
    "a\nb",
    "\u001b]0;x\u0007",
    "e\u0301",
    "\u00e9",
  ];
  await runCases([{
    name: "all of them",
    script: { content: SMALL, entries: odd.map((name) => ({ name })) },
    exit: 0,
    leaves: ["tree/", ...odd.map((name) => `tree/${name}`)],
  }]);
});

const OWN = "my own\n";
const existing = (path: string, content = OWN) => async ({ dest }: Place) => {
  await Deno.mkdir(`${dest}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
  await Deno.writeTextFile(`${dest}/${path}`, content);
};
const stays = (path: string, content = OWN) => ({ dest }: Place) =>
  assertEquals(Deno.readTextFileSync(`${dest}/${path}`), content);
const IN_THE_WAY = /exists already \(--force replaces it\)/;

Deno.test("nothing that is there is replaced unless the user said so", async () => {
  const small: Script = { content: SMALL, entries: [{ name: "file" }] };
  const large: Script = { content: LARGE, entries: [{ name: "file" }] };
  const cases: Case[] = [];
  for (const [size, script] of [["small", small], ["large", large]] as const) {
    const content = new TextDecoder().decode(script.content);
    const tree = (name: string, options: readonly string[], more: Partial<Case>): void => {
      cases.push({
        name: `${size} file of a tree, ${name}`,
        script,
        args: once("get", "-r", ...options),
        before: existing("tree/file"),
        exit: 1,
        error: IN_THE_WAY,
        leaves: ["tree/", "tree/file"],
        after: stays("tree/file"),
        ...more,
      });
    };
    tree("without a word", [], {});
    tree("in a rehearsal", ["--dry-run"], {});
    tree("with --resume and nothing to go on with", ["--resume"], {});
    tree("with --no-replace and --update", ["-n", "-u"], { error: /exists already/ });
    tree("with --force", ["--force"], { exit: 0, error: /got 1 file/, after: stays("tree/file", content) });
    tree("with --update", ["--update"], { exit: 0, error: /got 1 file/, after: stays("tree/file", content) });
    const link = (target: string) => async ({ top, dest }: Place) => {
      await Deno.mkdir(`${dest}/tree`);
      await Deno.symlink(target.replace("TOP", top), `${dest}/tree/file`);
    };
    const targets = ["../../marker", "TOP/marker", "nowhere", "../../outside"];
    for (const target of LONG ? targets : targets.slice(size === "small" ? 0 : 2, size === "small" ? 2 : 4)) {
      tree(`over a link to ${target}`, [], { before: link(target), after: () => {} });
      for (const option of ["--force", "--update"]) {
        tree(`over a link to ${target} with ${option}`, [option], {
          before: link(target),
          exit: 0,
          error: /got 1 file/,
          after: ({ dest }) => assert(Deno.lstatSync(`${dest}/tree/file`).isFile, "the link was written through"),
        });
      }
    }
    tree("over a folder", ["--force"], {
      before: existing("tree/file/mine"),
      error: /is a folder/,
      leaves: ["tree/", "tree/file/", "tree/file/mine"],
      after: stays("tree/file/mine"),
    });
    tree("over a folder, without a word", [], {
      before: existing("tree/file/mine"),
      error: /is a folder/,
      leaves: ["tree/", "tree/file/", "tree/file/mine"],
      after: stays("tree/file/mine"),
    });
    cases.push({
      name: `${size} file that is listed twice`,
      script: { ...script, entries: [{ name: "file" }, { name: "file" }] },
      exit: 7,
      error: IN_THE_WAY,
      leaves: ["tree/", "tree/file"],
    }, {
      name: `${size} file that the user named`,
      script,
      args: (url, { dest }) => ["get", `${url}file`, `${dest}/mine`],
      before: existing("mine"),
      exit: 1,
      error: IN_THE_WAY,
      after: stays("mine"),
    }, {
      name: `${size} file into a folder that has it`,
      script,
      args: single(),
      before: existing("file"),
      exit: 1,
      error: IN_THE_WAY,
      after: stays("file"),
    });
  }
  await runCases(cases);
});

Deno.test("what appears while a file comes, or after a lost connection, stays, too", async () => {
  let calls = 0;
  const half = LARGE.subarray(0, 50_000);
  await runCases([{
    name: "between check and commit",
    script: ({ dest }) => ({
      answers: {
        GET: async (peer, { stream }) => {
          await peer.send("INFO", stream, { type: "file", size: LARGE.length, modified: THEN, mode: 0o644, offset: 0 });
          await peer.sendData(stream, LARGE);
          await Deno.writeTextFile(`${dest}/file`, OWN);
          await peer.send("END", stream, endOf(LARGE), true);
        },
      },
    }),
    args: single(),
    exit: 1,
    error: IN_THE_WAY,
    leaves: ["file"],
    after: stays("file"),
  }, {
    name: "after a cut, with another time",
    script: ({ dest }) => ({
      entries: [{ name: "file" }],
      content: LARGE,
      answers: {
        GET: async (peer, { stream }) => {
          const told = { type: "file", size: LARGE.length, modified: THEN + calls, mode: 0o644, offset: 0 } as const;
          await peer.send("INFO", stream, told);
          await peer.sendData(stream, calls++ === 0 ? half : LARGE);
          if (calls > 1) return await peer.send("END", stream, endOf(LARGE), true);
          await Deno.writeTextFile(`${dest}/tree/file`, OWN);
          peer.close();
        },
      },
    }),
    args: (url, { dest }) => ["get", "-r", "--retries", "2", `${url}tree`, dest],
    exit: 1,
    error: IN_THE_WAY,
    after: stays("tree/file"),
  }]);
});

Deno.test("links below the destination lead nowhere else, whoever made them", async () => {
  const out = (target: string) => async ({ top, dest }: Place) => {
    await Deno.mkdir(`${dest}/tree`);
    await Deno.symlink(target.replace("TOP", top), `${dest}/tree/out`);
  };
  const cases: Case[] = [];
  for (const target of ["../../outside", "TOP/outside", "../..", "/"]) {
    for (const options of target.startsWith("..") ? [["--update", "--preserve"]] : [["--force"]]) {
      for (const content of LONG ? [SMALL, LARGE] : [target === "/" ? LARGE : SMALL]) {
        cases.push({
          name: `files below a link to ${target}, ${options.join(" ")}, ${content.length} bytes`,
          script: {
            content,
            told: { mode: 0o777 },
            entries: [{ name: "out/new" }, { name: "out/marker" }, { name: "out/deep", type: "directory" }, {
              name: "out",
              type: "directory",
            }],
          },
          args: once("get", "-r", ...options),
          before: out(target),
          exit: 7,
          error: /permission denied|leads out|not a folder/,
          leaves: ["tree/", "tree/out"],
        });
      }
    }
  }
  const copying = (name: string, links: Record<string, string>, rest: Partial<Case>): Case => ({
    name: `--links copy: ${name}`,
    script: {
      content: SMALL,
      links: Object.fromEntries(Object.entries(links).map(([path, target]) => [`/tree/${path}`, target])),
      entries: Object.keys(links).map((name) => ({ name, type: "symlink" as const })),
    },
    args: once("get", "-r", "--links", "copy"),
    exit: 0,
    ...rest,
  });
  for (const target of ["/etc/passwd", "..", "../marker", "../../marker", "a/../../../marker", "./../../marker"]) {
    cases.push(copying(`to ${target}`, { l: target }, { error: /leads out of the tree/, leaves: ["tree/"] }));
  }
  cases.push(
    copying("a link, and a file below it", {}, {
      script: {
        content: SMALL,
        links: { "/tree/l": "../../outside" },
        entries: [{ name: "l", type: "symlink" }, { name: "l/new" }],
      },
      leaves: ["tree/", "tree/l/", "tree/l/new"],
    }),
    copying("a link whose depth another one has changed", {}, {
      script: {
        links: { "/tree/p/q/s": "../..", "/tree/p/q/s/l": "../../../outside" },
        answers: {
          LIST: async (peer, { stream }) => {
            for (const name of ["p/q/s", "p/q/s/l"]) {
              const entry = { name, type: "symlink", size: 0, modified: THEN, mode: 0o777 } as const;
              await peer.send("ENTRIES", stream, { entries: [entry] });
              // So that the first is there when the second comes.
              await new Promise((resolve) => setTimeout(resolve, 700));
            }
            await peer.send("DONE", stream, { count: 2, skipped: 0 }, true);
          },
        },
      },
      exit: 7,
      error: /lead out of the tree/,
      leaves: ["tree/", "tree/p/", "tree/p/q/", "tree/p/q/s"],
    }),
    copying("over a file", { mine: "other" }, {
      before: existing("tree/mine"),
      exit: 1,
      error: /exists already/,
      after: stays("tree/mine"),
    }),
    copying("over a link", { mine: "other" }, {
      before: async ({ dest }) => {
        await Deno.mkdir(`${dest}/tree`);
        await Deno.symlink("old", `${dest}/tree/mine`);
      },
      exit: 1,
      error: IN_THE_WAY,
      after: ({ dest }) => assertEquals(Deno.readLinkSync(`${dest}/tree/mine`), "old"),
    }),
    {
      name: "--links follow: folders that are links to folders, without an end",
      script: {
        content: SMALL,
        entries: [{ name: "l", type: "symlink" }, { name: "f" }],
        answers: {
          STAT: (peer, { stream }) =>
            peer.send("INFO", stream, { type: "directory", size: 0, modified: THEN, mode: 0o755, offset: 0 }, true),
        },
      },
      args: once("get", "-r", "--links", "follow"),
      exit: 0,
      error: /below another one that was followed/,
      leaves: ["tree/", "tree/f", "tree/l/", "tree/l/f"],
    },
  );
  await runCases(cases);
});

Deno.test("permission bits are those of files, and times those of this world", async () => {
  const script = (modified: number | null): Script => ({
    content: SMALL,
    told: { mode: 0o7777, modified },
    entries: [{ name: "file" }, { name: "folder", type: "directory", mode: 0o7777 }, { name: "large", size: 70_000 }],
  });
  const modeOf = (path: string) => (Deno.lstatSync(path).mode ?? 0) & 0o7777;
  const times = [null, 0, -1, -8.64e15, 8.64e15, 8.64e15 + 1, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER];
  await runCases(times.flatMap((modified) => {
    const common = { exit: 0, leaves: ["tree/", "tree/file", "tree/folder/", "tree/large"] };
    const kept = {
      ...common,
      name: `time ${modified}, kept`,
      script: script(modified),
      args: once("get", "-r", "--preserve"),
      after: ({ dest }: Place) => {
        for (const name of ["file", "folder", "large"]) assertEquals(modeOf(`${dest}/tree/${name}`), 0o777);
      },
    };
    const plain = {
      ...common,
      name: `time ${modified}`,
      script: script(modified),
      args: once("get", "-r"),
      after: ({ dest }: Place) => assertEquals(modeOf(`${dest}/tree/file`) & 0o7111, 0),
    };
    return LONG || modified === -1 ? [kept, plain] : [kept];
  }));
});

const INFO = { type: "file", size: LARGE.length, modified: THEN, mode: 0o644, offset: 0 } as const;

/** A GET whose answer is made by hand. */
function getting(
  name: string,
  answer: (peer: RawPeer, stream: number) => Promise<void>,
  rest: Omit<Partial<Case>, "name" | "script"> & Pick<Case, "exit" | "error">,
): Case {
  return {
    name,
    script: { answers: { GET: (peer, { stream }) => answer(peer, stream) } },
    args: single(),
    leaves: [],
    ...rest,
  };
}

Deno.test("sizes, offsets, kinds and digests that lie leave nothing behind", async () => {
  const lying =
    (info: Partial<{ -readonly [K in keyof typeof INFO]: unknown }>, body = LARGE, end = endOf(body)) =>
    async (peer: RawPeer, stream: number) => {
      await peer.send("INFO", stream, { ...INFO, ...info } as typeof INFO);
      if (body.length > 0) await peer.sendData(stream, body);
      await peer.send("END", stream, end, true);
    };
  const half = LARGE.subarray(0, 50_000);
  const differs = { exit: 6, error: /differs/ } as const;
  const strange = { exit: 1, error: /does not belong to this command/ } as const;
  await runCases([
    getting("more than announced", lying({ size: 10 }), differs),
    getting("less than announced", lying({ size: 2 ** 53 - 1 }, half, { ...endOf(half), size: LARGE.length }), differs),
    getting("a size of the end that is wrong", lying({}, LARGE, { ...endOf(LARGE), size: 1 }), differs),
    getting("a digest that is wrong", lying({}, LARGE, endOf(half)), differs),
    getting(
      "no digest",
      lying({}, LARGE, { size: LARGE.length, algorithm: "none", digest: new Uint8Array() }),
      differs,
    ),
    getting("another digest", lying({}, LARGE, { ...endOf(LARGE), algorithm: "sha256" }), differs),
    getting("a folder with content", lying({ type: "directory" }), strange),
    getting("a link with content", lying({ type: "symlink" }), strange),
    getting("an offset that was not asked for", lying({ offset: 5 }), strange),
    getting("an offset beyond the end", lying({ offset: 2 ** 53 - 1 }), strange),
    getting("content before it is announced", (peer, stream) => peer.sendData(stream, LARGE), strange),
    getting("an end before it is announced", (peer, stream) => peer.send("END", stream, endOf(LARGE), true), strange),
    getting(
      "an answer to another request",
      (peer, stream) => peer.send("TARGET", stream, { target: "x" }, true),
      strange,
    ),
    getting("content after the end", async (peer, stream) => {
      await peer.send("INFO", stream, INFO);
      await peer.send("END", stream, endOf(new Uint8Array()), true);
      await peer.sendData(stream, LARGE);
    }, { exit: 6, error: /differs|does not belong/ }),
    getting("a size beyond all numbers", (peer, stream) => {
      const payload = new Uint8Array(29).fill(0xfe);
      payload[0] = 0;
      return peer.sendBytes(rawFrame({ type: 0x13, stream, payload }));
    }, { exit: 1, error: /out of range/ }),
    getting("silence", (peer, stream) => peer.send("INFO", stream, INFO), {
      exit: 3,
      error: /stalled/,
      args: single("--stall-timeout", "500ms"),
    }),
    getting("a cut before the first byte", async (peer, stream) => {
      await peer.send("INFO", stream, INFO);
      peer.close();
    }, { exit: 3, error: /closed without notice|reset/ }),
    {
      name: "more than the window",
      script: {
        answers: {
          LIST: async (peer, { stream }) => {
            const entry = { name: "x".repeat(4000), type: "file", size: 0, modified: THEN, mode: 0 } as const;
            for (;;) await peer.send("ENTRIES", stream, { entries: Array.from({ length: 25 }, () => entry) });
          },
        },
      },
      args: (url) => ["ls", url],
      exit: 1,
      error: /more data than the window allows|a listing that does not end/,
    },
  ]);
});

/** A GETS whose answer is made by hand. */
function gettingSmall(
  name: string,
  answer: (peer: RawPeer, stream: number) => Promise<void>,
  rest: Partial<Case> & Pick<Case, "exit">,
): Case {
  const script: Script = {
    content: SMALL,
    entries: [{ name: "a" }, { name: "b" }],
    answers: {
      GETS: (peer, { stream }) => answer(peer, stream),
      GET: (peer, { stream }) => peer.send("ERROR", stream, { code: 100, subject: "", detail: "" }),
    },
  };
  return { name, script, leaves: ["tree/"], ...rest };
}

Deno.test("small files that were not asked for, come twice or are others than they say", async () => {
  const files = (...files: ReturnType<typeof packed>[]) => async (peer: RawPeer, stream: number) => {
    await peer.send("FILES", stream, { files });
    await peer.send("DONE", stream, { count: files.length, skipped: 0 }, true);
  };
  const a = packed(SMALL);
  await runCases([
    gettingSmall("with paths of their own", files({ ...a, path: "/tree/../../marker" }, { ...a, path: "/etc/x" }), {
      exit: 7,
      error: /does not belong/,
    }),
    gettingSmall("more than were asked for", files(a, a, a), { exit: 7, error: /not found/ }),
    gettingSmall("fewer", files(a), { exit: 7, error: /not found/, leaves: ["tree/", "tree/a"] }),
    gettingSmall("none", files(), { exit: 7, error: /not found/ }),
    gettingSmall("all of them twice", async (peer, stream) => {
      await peer.send("FILES", stream, { files: [a, a] });
      await peer.send("FILES", stream, { files: [a, a] });
    }, { exit: 0, error: /got 2 files/, leaves: ["tree/", "tree/a", "tree/b"] }),
    gettingSmall("with a wrong digest", files({ ...a, digest: new Uint8Array(4) }, a), {
      exit: 7,
      error: /digest differs/,
      leaves: ["tree/", "tree/b"],
    }),
    gettingSmall("larger than said", files({ ...a, size: 2 ** 50, content: new Uint8Array() }, a), {
      exit: 7,
      error: /not found/,
      leaves: ["tree/", "tree/b"],
    }),
    gettingSmall(
      "with reasons that a terminal would execute",
      files({
        ...a,
        code: 80,
        content: text("\u001b]0;pwned\u0007\u009b2J\u202e\r\n"),
        size: text("\u001b]0;pwned\u0007\u009b2J\u202e\r\n").length,
      }, a),
      { exit: 7, error: /\\x1b\]0;pwned\\x07\\x9b2J\\u202e/, leaves: ["tree/", "tree/b"] },
    ),
  ]);
});

Deno.test("listings and trees that do not end are left, within bounds of memory", async () => {
  const endless = (page: (index: number) => readonly { name: string; type?: "directory" }[]): Script => ({
    content: SMALL,
    answers: {
      STAT: (peer, request) => {
        const { stream } = request;
        // Nothing has the very name of a pattern.
        if (JSON.stringify(request.fields).includes("*")) {
          return peer.send("ERROR", stream, { code: 100, subject: "", detail: "" });
        }
        return peer.send("INFO", stream, { type: "directory", size: 0, modified: THEN, mode: 0o755, offset: 0 }, true);
      },
      LIST: async (peer, { stream }, room) => {
        for (let index = 0;; index++) {
          const entries = page(index).map(({ name, type = "directory" }) => ({
            name,
            type,
            size: 0,
            modified: THEN,
            mode: 0o755,
          }));
          await room(2 + entries.reduce((sum, entry) => sum + entryBytes(entry), 0));
          await peer.send("ENTRIES", stream, { entries });
        }
      },
    },
  });
  const many = (index: number) => Array.from({ length: 500 }, (_, i) => ({ name: `${index}-${i}` }));
  const bad = (index: number) =>
    Array.from({ length: 500 }, (_, i) => ({ name: `../${index}-${i}-${"x".repeat(150)}` }));
  const long = (index: number) => Array.from({ length: 25 }, (_, i) => ({ name: `${index}-${i}`.padEnd(4000, "/x") }));
  const deep = () => [{ name: "d/".repeat(1000) + "d" }];
  const limited = { exit: 1, error: /a listing that does not end \(over \d+; --max-names allows more\)/ } as const;
  const limit = (names: number, ...args: string[]) => (url: string, { dest }: Place) => [
    ...args,
    "--max-names",
    String(names),
    `${url}tree`,
    ...(args[0] === "get" ? [dest] : []),
  ];
  await runCases([
    { name: "get -r", script: endless(many), args: limit(2_000, "get", "-r"), ...limited },
    { name: "get -r --dry-run", script: endless(many), args: limit(20_000, "get", "-r", "--dry-run"), ...limited },
    { name: "get -r of names that are none", script: endless(bad), args: limit(10_000, "get", "-r", "-q"), ...limited },
    { name: "get -r of the same deep folder", script: endless(deep), args: limit(3_000, "get", "-r"), ...limited },
    { name: "ls", script: endless(many), args: limit(60_000, "ls"), ...limited },
    { name: "ls -R of long names", script: endless(long), args: limit(20_000, "ls", "-R"), ...limited },
    { name: "ls of pages without names", script: endless(() => []), args: limit(20_000, "ls"), ...limited },
    {
      name: "verify -r",
      script: endless(many),
      args: (url, { dest }) => ["verify", "-r", "-q", "--max-names", "20000", dest, `${url}tree`],
      ...limited,
    },
    {
      name: "a pattern",
      script: endless((index) => many(index).map(({ name }) => ({ name: `${name}.gz` }))),
      args: (url, { dest }) => ["get", `${url}tree/*.gz`, dest],
      exit: 1,
      error: /a listing that does not end \(over 100000 match/,
    },
  ]);
});

Deno.test("frames that break the protocol end the session, with a name for it", async () => {
  const bomb = zstdCompressSync(new Uint8Array(64 * 1024 * 1024));
  const raw = (name: string, frame: (stream: number) => Uint8Array, exit: number, error: RegExp) =>
    getting(name, async (peer, stream) => {
      await peer.send("INFO", stream, INFO);
      await peer.sendBytes(frame(stream));
      await peer.rest();
    }, { exit, error });
  await runCases([
    raw(
      "a zstd bomb",
      (stream) => rawFrame({ type: TYPE.DATA, stream, flags: 4, payload: bomb }),
      6,
      /compressed frame/,
    ),
    raw("a frame of 4 GiB", (stream) => rawFrame({ type: TYPE.DATA, stream, length: 2 ** 32 - 1 }), 1, /frame longer/),
    raw(
      "a wrong checksum",
      (stream) => rawFrame({ type: TYPE.DATA, stream, payload: SMALL, crc: 1 }),
      6,
      /frame damaged/,
    ),
    raw("an unknown frame", (stream) => rawFrame({ type: 0xee, stream }), 1, /unknown frame/),
    raw("reserved bits", (stream) => rawFrame({ type: TYPE.DATA, stream, reserved: 1 }), 1, /reserved bits/),
    raw(
      "a request to the client",
      () => rawFrame({ type: TYPE.LIST, stream: 2, flags: 1 }),
      1,
      /not allowed from this side/,
    ),
    raw(
      "a stream that nobody opened",
      () => rawFrame({ type: TYPE.DATA, stream: 4001, payload: SMALL }),
      1,
      /stream number/,
    ),
    raw(
      "READY again",
      () => rawFrame({ type: TYPE.READY, payload: new Uint8Array(4) }),
      1,
      /not allowed in this phase/,
    ),
    raw(
      "text that is none",
      (stream) => rawFrame({ type: 0x0d, stream, payload: Uint8Array.of(0, 1, 0, 1, 0xff, 0, 0) }),
      1,
      /UTF-8/,
    ),
    raw(
      "a count of files that is not there",
      (stream) => rawFrame({ type: TYPE.ENTRIES, stream, payload: Uint8Array.of(4, 0) }),
      1,
      /ends before/,
    ),
    getting("PINGs whose answers nobody reads", async (peer) => {
      const pings = Array.from(
        { length: 4096 },
        (_, i) => rawFrame({ type: TYPE.PING, payload: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, i % 256) }),
      );
      const whole = new Uint8Array(pings.length * (HEADER_BYTES + 8));
      pings.forEach((ping, i) => whole.set(ping, i * ping.length));
      for (;;) await peer.sendBytes(whole);
    }, { exit: 1, error: /more control frames/ }),
    {
      name: "answers to more files than were sent, without an end",
      script: {
        answers: {
          PUTS: async (peer, { stream }, room) => {
            const outcomes = Array.from({ length: 256 }, () => ({ code: 100, detail: "x".repeat(256) }));
            for (;;) {
              await room(2 + 256 * 260);
              await peer.send("STORED", stream, { outcomes });
            }
          },
          any: (peer, { stream }) => peer.send("DONE", stream, { count: 1, skipped: 0 }, true),
        },
      },
      args: (url) => ["put", "-r", "--retries", "0", "tree", url],
      before: existing("tree/mine"),
      exit: 1,
      error: /does not belong to this command/,
    },
    {
      name: "a window that grows beyond all numbers",
      script: {
        answers: {
          PUT: async (peer, { stream }) => {
            for (let i = 0; i < 3; i++) await peer.send("WINDOW", stream, { credit: 2 ** 32 - 1 });
          },
        },
      },
      args: (url) => ["put", "--retries", "0", "mine", `${url}file`],
      before: existing("mine"),
      exit: 1,
      error: /out of range/,
    },
    {
      name: "a window opened byte by byte",
      script: {
        answers: {
          PUT: async (peer, { stream }) => {
            for (let i = 0; i < 500; i++) {
              await peer.send("WINDOW", stream, { credit: 1 });
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
          },
        },
      },
      args: (url) => ["put", "--retries", "0", "--stall-timeout", "1s", "mine", `${url}file`],
      before: existing("mine", "x".repeat(1_000_000)),
      exit: 3,
      error: /stalled/,
    },
  ]);
});

Deno.test("a greeting that is none, lies or never ends", async () => {
  const greeting = (name: string, greet: NonNullable<Script["greet"]>, rest: Partial<Case> = {}): Case => ({
    name,
    script: { greet },
    args: (url) => ["ls", "--handshake-timeout", "1s", url],
    exit: 3,
    error: /does not speak FSH\/1|closed without notice|handshake not finished|reset/,
    ...rest,
  });
  const says = (text: string) => async (connection: { write(bytes: Uint8Array): Promise<number> }) => {
    await connection.write(new TextEncoder().encode(text));
    await new Promise((resolve) => setTimeout(resolve, 200));
  };
  const hello = (name: string, hello: Script["hello"], rest: Partial<Case>): Case => ({
    name,
    script: { hello: hello ?? {} },
    args: (url) => ["ls", url],
    exit: 1,
    error: /out of range/,
    ...rest,
  });
  const ESCAPES = "\u001b]0;pwned\u0007\u009b2J";
  await runCases([
    greeting("nothing", () => Promise.resolve()),
    greeting("HTTP with escapes", says(`HTTP/1.1 400 ${ESCAPES}\r\n\r\n`)),
    greeting("SSH with escapes", says(`SSH-2.0-${ESCAPES}\r\n`)),
    greeting("64 KiB of text", says(ESCAPES.repeat(6000))),
    greeting("silence", () => new Promise((resolve) => setTimeout(resolve, 2_000))),
    greeting("a byte now and then", async (connection) => {
      for (const byte of new TextEncoder().encode("FSH/1")) {
        await connection.write(Uint8Array.of(byte));
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
    }),
    hello("a window of one byte", { window: 1 }, {}),
    hello("no window", { window: 0 }, {}),
    hello("frames of nothing", { maxData: 0 }, {}),
    hello("no streams", { maxStreams: 0 }, {}),
    hello("another version", { version: 9 }, { exit: 3, error: /version not supported/ }),
    hello("no way in", { methods: [] }, { exit: 4, error: /lets nobody in/ }),
    hello("limits beyond all need, and a name that a terminal would execute", {
      agent: ESCAPES,
      maxData: 2 ** 32 - 1,
      window: 2 ** 32 - 1,
      maxStreams: 2 ** 32 - 1,
      heartbeat: 1,
      misses: 0,
      capabilities: Array.from({ length: 32 }, () => ESCAPES),
    }, { exit: 0, error: /^/, env: { FSH_LOG: "trace" } }),
  ]);
});

Deno.test("a server that has not shown who it is learns no password, and gets no work done", async () => {
  const nonceOf = (data: Uint8Array) => /r=([^,]*)/.exec(new TextDecoder().decode(data))?.[1] ?? "";
  const salt = btoa("salt of a liar");
  const scram = (
    name: string,
    first: (nonce: string) => string,
    error: RegExp,
    rest: Partial<Case> & { proceed?: (peer: RawPeer) => Promise<void> } = {},
  ): Case => ({
    name,
    script: {
      hello: { methods: ["scram-sha-256"] },
      admit: async (peer, { fields: { data } }) => {
        await peer.send("CHALLENGE", 0, { data: text(first(nonceOf(data))) });
        await rest.proceed?.(peer);
      },
    },
    args: (url) => ["ls", "--handshake-timeout", "2s", url.replace("//", "//an@")],
    env: { FSH_PASSWORD: "correct horse" },
    exit: 4,
    error,
    after: (_place, { server }) => {
      for (const request of server.requests) {
        assert(!JSON.stringify(request.fields).includes("horse"), "the password crossed the network");
        if ("data" in request.fields) {
          assert(!new TextDecoder().decode(request.fields.data as Uint8Array).includes("horse"));
        }
      }
    },
    ...rest,
  });
  const first = (iterations: number | string) => (nonce: string) => `r=${nonce}more,s=${salt},i=${iterations}`;
  await runCases([
    scram("4294967295 iterations", first(4294967295), /iterations of the password/),
    scram("10000001 iterations", first(10_000_001), /iterations of the password/),
    scram("as many iterations as are allowed", first(10_000_000), /handshake not finished/, { exit: 3 }),
    scram("one iteration", first(1), /iterations of the password/),
    scram("iterations that are no number", first("1e9"), /no number/, { exit: 1 }),
    scram("a nonce of another exchange", () => `r=other,s=${salt},i=4096`, /not of this exchange/, { exit: 1 }),
    scram("READY without a proof", first(4096), /could not prove that it knows the password/, {
      proceed: (peer) => peer.expect("AUTH").then(() => peer.send("READY", 0, { session: "s", user: "an" })),
    }),
    scram("a wrong proof", first(4096), /could not prove|no signature/, {
      proceed: async (peer) => {
        await peer.expect("AUTH");
        await peer.send("CHALLENGE", 0, { data: text(`v=${btoa("x".repeat(32))}`) });
      },
    }),
    {
      ...scram("READY at once", first(4096), /could not prove that it knows the password/),
      script: {
        hello: { methods: ["scram-sha-256"] },
        admit: (peer) => peer.send("READY", 0, { session: "s", user: "an" }),
      },
    },
    {
      ...scram("nobody asked for", first(4096), /knows no users/),
      script: { hello: { methods: ["anonymous"] } },
    },
    {
      ...scram("a refusal that a terminal would execute", first(4096), /\\x1b\[31m/),
      script: {
        hello: { methods: ["scram-sha-256"] },
        admit: (peer) => peer.send("ERROR", 0, { code: 81, subject: "", detail: "\u001b[31mtype it again: \u202e" }),
      },
    },
  ]);
});

Deno.test("what a server says is shown, not executed", async () => {
  const EVIL = "\u001b]0;pwned\u0007\u001b[31m\u009b2J\u202ex\u2066\u200f\r\n\u0000";
  const SHOWN = /\\x1b\]0;pwned\\x07\\x1b\[31m\\x9b2J\\u202ex\\u2066\\u200f\\r\\n\\x00/;
  const NAME = EVIL.slice(0, -1);
  const NAME_SHOWN = /\\x1b\]0;pwned\\x07\\x1b\[31m\\x9b2J\\u202ex\\u2066\\u200f\\r\\n/;
  const fails = (code: number): Script => ({
    answers: {
      any: (peer, { stream }) => peer.send("ERROR", stream, { code, subject: EVIL, detail: EVIL.repeat(30) }),
    },
  });
  const tree: Script = {
    content: LARGE,
    entries: [{ name: NAME }, { name: `${NAME}s`, type: "symlink" }, { name: `${NAME}o`, type: "other" }],
  };
  const commands: readonly (readonly string[])[] = [["ls"], ["stat"], ["hash"], ["mkdir"], ["rm", "-r"]];
  const valid = (_place: Place, { out }: { out: string }) => {
    assert(out.length > 0);
    for (const line of out.trim().split("\n")) JSON.parse(line);
    // deno-lint-ignore no-control-regex
    assert(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/.test(out), out);
  };
  await runCases([
    ...commands.map((command): Case => ({
      name: `the error of ${command[0]}`,
      script: fails(80),
      args: (url) => [...command, url + "x"],
      exit: 4,
      error: SHOWN,
    })),
    {
      name: "an error that ends the session, in the debug log and in the stack",
      script: { answers: { any: (peer) => peer.send("ERROR", 0, { code: 1, subject: EVIL, detail: EVIL }) } },
      args: (url) => ["ls", url],
      env: { FSH_LOG: "trace" },
      exit: 1,
      error: SHOWN,
    },
    {
      name: "a farewell",
      script: { admit: (peer) => peer.send("GOAWAY", 0, { code: 60, message: EVIL }) },
      args: (url) => ["ls", url],
      exit: 3,
      error: SHOWN,
    },
    {
      name: "an error code that nobody knows, and one that claims an interruption",
      script: {
        answers: { any: (peer, { stream }) => peer.send("ERROR", stream, { code: 9999, subject: EVIL, detail: "" }) },
      },
      args: (url) => ["ls", url],
      exit: 1,
      error: SHOWN,
    },
    { name: "names of a tree", script: tree, exit: 0, error: NAME_SHOWN },
    {
      name: "names of a tree, all told",
      script: tree,
      args: once("get", "-r", "--progress", "always"),
      exit: 0,
      error: NAME_SHOWN,
    },
    { name: "names of a tree as JSON", script: tree, args: once("get", "-r", "--json"), exit: 0, after: valid },
    { name: "a listing as JSON", script: tree, args: (url) => ["ls", "--json", url], exit: 0, after: valid },
    {
      name: "an error as JSON",
      script: { ...fails(80), entries: [] },
      args: (url, { dest }) => ["get", "--json", `${url}a`, `${url}b`, dest],
      exit: 4,
      after: valid,
    },
    {
      name: "why a file was not stored",
      script: {
        answers: {
          MKDIR: (peer, { stream }) => peer.send("DONE", stream, { count: 1, skipped: 0 }, true),
          TOUCH: (peer, { stream }) => peer.send("DONE", stream, { count: 1, skipped: 0 }, true),
          PUTS: (peer, { stream }) => peer.send("STORED", stream, { outcomes: [{ code: 106, detail: EVIL }] }, true),
          FILES: () => Promise.resolve(),
        } as Script["answers"] & object,
      },
      args: (url) => ["put", "-r", "tree", url],
      before: existing("tree/mine"),
      exit: 1,
      error: SHOWN,
    },
  ]);
});

Deno.test("a hostile server is seen where the client would do what it is told", async () => {
  // The measure itself: a change beside the destination must not go unnoticed.
  let seen = "";
  try {
    await runCases([{
      name: "a server that is let out",
      script: ({ top }) => ({
        answers: {
          any: async (peer, { stream }) => {
            await Deno.writeTextFile(`${top}/outside/new`, "out\n");
            await peer.send("ERROR", stream, { code: 100, subject: "", detail: "" });
          },
        },
      }),
      exit: 5,
    }]);
  } catch (error) {
    seen = String(error);
  }
  assertMatch(seen, /outside the destination has changed/);
});
