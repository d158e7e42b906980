import { assertEquals } from "@std/assert";
import {
  type Case,
  existing,
  IN_THE_WAY,
  LARGE,
  LONG,
  once,
  type Place,
  runCases,
  SMALL,
  stays,
} from "../support/hostile_case.ts";
import { type Script, THEN } from "../support/hostile_server.ts";

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
