import { assert } from "@std/assert";
import {
  type Case,
  existing,
  IN_THE_WAY,
  LARGE,
  LONG,
  once,
  type Place,
  runCases,
  single,
  SMALL,
  stays,
} from "../support/hostile_case.ts";
import { endOf, type Script, THEN } from "../support/hostile_server.ts";

const OWN = "my own\n";

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
