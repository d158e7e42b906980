import { type Case, getting, INFO, LARGE, runCases, single, SMALL, text } from "../support/hostile_case.ts";
import { endOf, packed, type Script, THEN } from "../support/hostile_server.ts";
import { rawFrame } from "../support/raw_frame.ts";
import type { RawPeer } from "../support/raw_peer.ts";

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
