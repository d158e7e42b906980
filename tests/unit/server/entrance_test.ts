import { assert, assertEquals } from "@std/assert";
import { FshError } from "../../../lib/base/errors.ts";
import { Entrance, type EntranceOptions, Guest } from "../../../lib/server/entrance.ts";
import { assertThrowsError } from "../../support/named_errors.ts";

function entrance(options: Partial<EntranceOptions> = {}): Entrance {
  const { most = Infinity, local = false } = options.perAddress ?? {};
  return new Entrance({ sessions: 1000, perUser: Infinity, startups: null, ...options, perAddress: { most, local } });
}

function enter(door: Entrance, remote = "192.0.2.1:1"): Guest {
  const guest = door.enter(remote);
  assert(guest instanceof Guest, guest instanceof FshError ? guest.message : "");
  return guest;
}

function refused(door: Entrance, remote = "192.0.2.1:1"): string {
  const guest = door.enter(remote);
  assert(guest instanceof FshError);
  return guest.error;
}

Deno.test("no more sessions than there may be, and a place is free again once, however often it is left", () => {
  const door = entrance({ sessions: 2 });
  const [first] = [enter(door), enter(door)];
  assertEquals(refused(door), "TOO_MANY_SESSIONS");
  first?.leave();
  first?.leave();
  enter(door);
  assertEquals(refused(door), "TOO_MANY_SESSIONS");
  assertEquals([door.here, door.unknown], [2, 2]);
});

Deno.test("one address takes no more than its share, a /64 counts as one, and this machine only if it should", () => {
  const door = entrance({ perAddress: { most: 1, local: false } });
  const guest = enter(door, "[2001:db8::1]:1");
  assertEquals(refused(door, "[2001:db8::2]:2"), "TOO_MANY_FROM_ADDRESS");
  enter(door, "[2001:db8:0:1::2]:2");
  guest.leave();
  enter(door, "[2001:db8::2]:2");
  enter(door, "127.0.0.1:1"), enter(door, "127.0.0.1:2");
  const strict = entrance({ perAddress: { most: 1, local: true } });
  enter(strict, "127.0.0.1:1");
  assertEquals(refused(strict, "127.0.0.1:2"), "TOO_MANY_FROM_ADDRESS");
});

Deno.test("a user has so many sessions, and whoever was refused counts as unknown until it has gone", () => {
  const door = entrance({ perUser: 1 });
  const [first, second, other, nobody] = [enter(door), enter(door), enter(door), enter(door)];
  first?.admit("an");
  assertThrowsError(() => second?.admit("an"), "TOO_MANY_OF_USER");
  other?.admit("bo");
  nobody?.admit(null);
  assertEquals([door.here, door.unknown], [4, 1]);
  first?.leave();
  second?.leave();
  assertEquals([door.here, door.unknown], [2, 0]);
  enter(door).admit("an");
  // Late, when it has gone already: it counts nowhere.
  assertThrowsError(() => first?.admit("an"), "CONNECTION_LOST");
  assertEquals([door.here, door.unknown], [3, 0]);
});

Deno.test("early refusals begin at start with the rate, grow evenly, and are certain at full", () => {
  let dice = 0;
  const door = entrance({ startups: { start: 10, rate: 30, full: 20 }, random: () => dice });
  const guests = Array.from({ length: 10 }, () => enter(door));
  dice = 0.299;
  assertEquals(refused(door), "TOO_MANY_HANDSHAKES");
  dice = 0.301;
  for (let i = 0; i < 5; i++) dice = 0.301 + 0.07 * i, guests.push(enter(door));
  // Halfway between: 65 %.
  dice = 0.649;
  assertEquals(refused(door), "TOO_MANY_HANDSHAKES");
  dice = 0.9999;
  for (let i = 0; i < 5; i++) guests.push(enter(door));
  assertEquals(refused(door), "TOO_MANY_HANDSHAKES");
  dice = 0;
  for (const guest of guests.slice(0, 11)) guest.admit(null);
  // Who is in does not count.
  enter(door);
  assertEquals([door.here, door.unknown], [21, 10]);
});
