import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { sleep } from "../../../lib/base/clock.ts";
import { ControlSocket, isAlive } from "../../../lib/server/control_socket.ts";
import { assertFails } from "../../support/named_errors.ts";

const options = { ignore: Deno.build.os === "windows" };

async function folder() {
  const path = await Deno.makeTempDir();
  return {
    socket: join(path, "socket"),
    names: () => [...Deno.readDirSync(path)].map(({ name }) => name).sort(),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Leaves a socket behind that nobody listens to. */
function leaveDead(path: string): void {
  // The runtime takes away the path that it was told, and no other.
  using _made = Deno.listen({ transport: "unix", path: `${path}.made` });
  Deno.linkSync(`${path}.made`, path);
}

/** Has everybody hear of a dead socket at the same time, and only then act. */
function lateAnswers(): Disposable {
  const { connect } = Deno;
  const late = async (options: Deno.UnixConnectOptions) => {
    try {
      return await connect(options);
    } finally {
      await sleep(10);
    }
  };
  Object.assign(Deno, { connect: late });
  return { [Symbol.dispose]: () => void Object.assign(Deno, { connect }) };
}

Deno.test({ name: "a socket is its owner's alone, and gone with its server", ...options }, async () => {
  await using place = await folder();
  {
    using socket = await ControlSocket.open(place.socket);
    assertEquals((Deno.lstatSync(socket.path).mode ?? 0) & 0o777, 0o600);
    assertEquals(await isAlive(socket.path), true);
    assertEquals(place.names(), ["socket"]);
  }
  assertEquals(place.names(), []);
});

Deno.test({ name: "a dead socket is replaced; of many who try at once, one gets it", ...options }, async () => {
  using _late = lateAnswers();
  for (let round = 0; round < 20; round++) {
    await using place = await folder();
    if (round % 2 === 0) leaveDead(place.socket);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => ControlSocket.open(place.socket)));
    const winners = tries.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
    const losers = tries.flatMap((one) => one.status === "rejected" ? [one.reason.error] : []);
    assertEquals([winners.length, [...new Set(losers)]], [1, ["ADDRESS_IN_USE"]]);
    assertEquals(await isAlive(place.socket), true);
    assertEquals(place.names(), ["socket"]);
    for (const winner of winners) winner[Symbol.dispose]();
    assertEquals(place.names(), []);
  }
});

Deno.test({ name: "what is no socket, or somebody else's by now, stays", ...options }, async () => {
  await using place = await folder();
  await Deno.writeTextFile(place.socket, "mine");
  await assertFails(() => ControlSocket.open(place.socket), "EXISTS");
  await Deno.remove(place.socket);
  await Deno.symlink("/nowhere", place.socket);
  await assertFails(() => ControlSocket.open(place.socket), "EXISTS");
  await Deno.remove(place.socket);
  const first = await ControlSocket.open(place.socket);
  await Deno.remove(place.socket);
  using second = await ControlSocket.open(place.socket);
  first[Symbol.dispose]();
  assertEquals(await isAlive(second.path), true);
});

Deno.test({ name: "a path that can't be a socket's is refused by name", ...options }, async () => {
  await using place = await folder();
  await assertFails(() => ControlSocket.open(place.socket + "x".repeat(100)), "USAGE");
  await assertFails(() => ControlSocket.open(join(place.socket, "below")), "NOT_FOUND");
  assertEquals(place.names(), []);
});
