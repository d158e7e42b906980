import { assert } from "@std/assert";
import { type Case, existing, LARGE, once, type Place, runCases } from "../support/hostile_case.ts";
import { type Script } from "../support/hostile_server.ts";

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
