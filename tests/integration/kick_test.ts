import { assertEquals } from "@std/assert";
import { ManualClock } from "../../lib/base/clock.ts";
import { RunningServer } from "../support/running_server.ts";

Deno.test("a kicked client that stays is given 10 s to take in why, and no more", async () => {
  const clock = new ManualClock();
  await using running = await RunningServer.start({ clock });
  const peer = await running.peer();
  let gone = false;
  const kicked = running.server.roster.kick("1", "why").then(() => gone = true);
  const { error, stream } = await peer.error();
  assertEquals([error, stream], ["KICKED", 0]);
  clock.advance(9_999);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals([gone, running.server.sessionCount], [false, 1]);
  clock.advance(1);
  await kicked;
  await running.quiet();
  assertEquals(running.logged("session ended"), ["KICKED"]);
});
