import { assert, assertEquals, assertGreaterOrEqual, assertStringIncludes, assertThrows } from "@std/assert";
import { ERRORS, isError } from "../../lib/base/errors.ts";
import { safePath } from "../../lib/base/virtual_path.ts";
import type { RequestName } from "../../lib/wire/frames.ts";
import { TcpTransport } from "../../lib/transport/tcp.ts";
import { quicEnds } from "../support/scheme.ts";
import { ALL_SPOTS, BAD_BYTES, randomPath, type Spot, TRAPS } from "../support/hostile_paths.ts";
import { HIDDEN, Outside, SECRET } from "../support/outside.ts";
import { type Answer, PipelinedPeer, watched } from "../support/pipelined_peer.ts";
import { FSH, ServerProcess } from "../support/program.ts";
import { NAIVE } from "../support/source_program.ts";
import { Random } from "../support/random.ts";
import { fixCrc } from "../support/raw_frame.ts";
import { RawPeer } from "../support/raw_peer.ts";

/** FSH_SEED plays another corpus. */
const SEED = Number(Deno.env.get("FSH_SEED") ?? 7);
/** Random paths for each way to hand one over; each in two versions. */
const RANDOM_PATHS = 340;
const LEAST = 20_000;

interface Wish {
  readonly spot: Spot;
  readonly path: string;
  /** What the answer has to be. */
  readonly due: "outside" | "rejected" | "the link itself" | "anything";
}

/** Plants each trap for each way in a folder of its own, as some ways take the link itself away. */
function trapped({ served, parent }: Outside, spots = ALL_SPOTS): Wish[] {
  const wishes: Wish[] = [];
  for (const spot of spots) {
    for (const trap of TRAPS) {
      for (const there of [true, false]) {
        const own = `own${String(wishes.length).padStart(6, "0")}`;
        Deno.mkdirSync(`${served}/${own}`);
        for (const [name, target] of Object.entries(trap.links("../..", parent))) {
          Deno.symlinkSync(target, `${served}/${own}/${name}`);
        }
        const path = `/${own}/${trap.path(there)}`;
        const isOwnName = trap.ends && spot.onName === true;
        const due = dueTo(spot, path) === "rejected" ? "rejected" : isOwnName ? "the link itself" : "outside";
        wishes.push({ spot, path, due });
      }
    }
  }
  return wishes;
}

function random({ parent }: Outside): Wish[] {
  const numbers = new Random(SEED);
  const wishes: Wish[] = [];
  for (const spot of ALL_SPOTS) {
    for (let i = 0; i < RANDOM_PATHS; i++) {
      const path = randomPath(numbers, parent);
      for (const there of [true, false]) wishes.push({ spot, path: path(there), due: dueTo(spot, path(there)) });
    }
  }
  return wishes;
}

/** A path of good form names something inside, whatever it looks like; a link's text is no path, but must not lead out. */
function dueTo({ field }: Spot, path: string): Wish["due"] {
  if (field === "target") return "anything";
  try {
    safePath(path);
    return "anything";
  } catch (error) {
    assert(isError(error, "PATH_REJECTED", "NAME_TOO_LONG"));
    return "rejected";
  }
}

/** An answer without what the two versions of a path differ in. */
function kindOf({ text }: Answer): string {
  return text.replace(/own\d{6}/g, "own").replace(/\/(made|movable)\/\d+/g, "/$1").replaceAll("markes", "marker")
    .replaceAll("innes", "inner")
    .replaceAll("deeps", "deep").replaceAll("serves", "served").replaceAll("ets", "etc").replaceAll(
      "environs",
      "environ",
    )
    .replaceAll("self/x", "self/0").replaceAll("j*r", "i*r").replaceAll("/non", "/yes").replace(
      /"modified":-?\d+/g,
      "",
    );
}

function judge(wishes: readonly Wish[], answers: readonly Answer[]): void {
  for (const [at, { spot, path, due }] of wishes.entries()) {
    const { error, text } = answers[at] as Answer;
    const what = `${spot.request} ${spot.field} ${JSON.stringify(path)}: ${text}`;
    assert(error === null || error in ERRORS && error !== "INTERNAL", what);
    if (due === "outside") assert(error === "NOT_PERMITTED" || error === "LINK_LOOP", what);
    if (due === "rejected") assert(error === "PATH_REJECTED" || error === "NAME_TOO_LONG", what);
    // Where the two versions name things inside, what is there is no secret.
    if (at % 2 === 0 && due !== "anything") {
      assertEquals(kindOf(answers[at] as Answer), kindOf(answers[at + 1] as Answer), what);
    }
  }
}

async function serving(
  outside: Outside,
  { command: program = [FSH], env = {} }: { command?: readonly string[]; env?: Record<string, string> } = {},
): Promise<ServerProcess> {
  Deno.writeTextFileSync(`${outside.served}/ordinary`, "ordinary");
  for (const folder of ["folder", "movable", "made"]) Deno.mkdirSync(`${outside.served}/${folder}`);
  // The working folder is the one above, for links by way of /proc/self/cwd.
  const command = ["sh", "-c", 'cd "$0" && exec "$@"', outside.parent, ...program];
  return await ServerProcess.start({
    folder: outside.served,
    command,
    env,
    args: ["--durability", "none", "--heartbeat", "off"],
  });
}

Deno.test({
  name: "20,000 hostile paths in every field that names one: nothing outside is read, changed or told of",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using outside = new Outside();
    await using server = await serving(outside);
    const wishes = [...trapped(outside), ...random(outside)];
    assertGreaterOrEqual(wishes.length, LEAST);
    const peer = await PipelinedPeer.connect(server.port, [SECRET, HIDDEN]);
    for (const [at, { spot }] of wishes.entries()) {
      if (spot.field === "to") Deno.writeTextFileSync(`${outside.served}/movable/${peer.stream + 2 * at}`, "");
    }
    const begun = performance.now();
    const answers = await peer.ask(wishes);
    const seconds = (performance.now() - begun) / 1000;
    judge(wishes, answers);
    await peer.close();
    outside.assertUntouched();
    // deno-lint-ignore no-control-regex
    assertEquals(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.exec(server.log), null);
    const named = answers.filter(({ error }) => error !== null).length;
    const perSecond = Math.round(wishes.length / seconds);
    console.log(`${wishes.length} hostile paths, ${named} answered by errors, ${perSecond} a second (seed ${SEED})`);
  },
});

Deno.test({
  name: "what is no UTF-8 ends the session, in every field that names a path",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using outside = new Outside();
    await using server = await serving(outside);
    for (const spot of ALL_SPOTS) {
      for (const bytes of BAD_BYTES) {
        const placeholder = "@".repeat(bytes.length);
        const transport = quicEnds?.transport ?? new TcpTransport();
        const connection = await transport.connect({ hostname: "127.0.0.1", port: server.port, timeout: 5000 });
        const peer = new RawPeer(watched(connection, [SECRET, HIDDEN]));
        await peer.shakeHands();
        await peer.sendBytes(withBytes(spot.frames(1, `/${placeholder}/marker`), bytes));
        assertEquals((await peer.error()).error, "BAD_UTF8", `${spot.request} ${bytes}`);
        peer.close();
      }
    }
    await quicEnds?.settled();
    outside.assertUntouched();
  },
});

Deno.test({
  name: "without the jail the same is seen to fail: bytes come, things change, answers differ",
  ignore: Deno.build.os !== "linux",
  async fn() {
    using outside = new Outside();
    await using server = await serving(outside, { command: NAIVE, env: { FSH_NATIVE: "off" } });
    const wishes = trapped(
      outside,
      ALL_SPOTS.filter(({ request }) => ["STAT", "GET", "LIST", "PUT"].includes(request)),
    );
    const of = (wanted: RequestName) => wishes.filter(({ spot: { request } }) => request === wanted);
    for (const [request, forbidden] of [["GET", SECRET], ["LIST", HIDDEN]] as const) {
      const reader = await PipelinedPeer.connect(server.port, [SECRET, HIDDEN]);
      const failure = await reader.ask(of(request)).then(() => "", String);
      assertStringIncludes(failure, `${forbidden} came from the server`);
      await reader.close();
    }
    const peer = await PipelinedPeer.connect(server.port, ["nothing like that"]);
    const answers = await peer.ask(of("STAT"));
    assertThrows(() => judge(of("STAT"), answers));
    assert(answers.some((answer, at) => at % 2 === 0 && kindOf(answer) !== kindOf(answers[at + 1] as Answer)));
    await peer.ask(of("PUT"));
    await peer.close();
    assertThrows(() => outside.assertUntouched());
  },
});

/** Frames whose placeholder is replaced by bytes; the checksum of the frame that has it is made to fit. */
function withBytes(frames: Uint8Array, bytes: readonly number[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < frames.length;) {
    const length = 16 + new DataView(frames.buffer, frames.byteOffset + at).getUint32(0);
    const frame = frames.slice(at, at + length);
    const place = frame.indexOf(0x40, 16);
    if (place > 0 && frame[place - 1] === 0x2f) {
      frame.set(bytes, place);
      fixCrc(frame);
    }
    parts.push(frame);
    at += length;
  }
  return new Uint8Array(parts.flatMap((part) => [...part]));
}
