// tar through netcat: a listener that unpacks, and a sender that packs.
import { join } from "@std/path";
import type { Contender, Rival } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { complaints, finish, freePort, listening, run, start, type Started, stop } from "./processes.ts";
import { same } from "./workspace.ts";

/** Moves `name` from `folder` into `makes`; null if there is no such netcat. The listener waits before the clock starts. */
export async function tarPipe(
  peers: Peers,
  { folder, name, makes, rivals }: { folder: string; name: string; makes: string; rivals: readonly Rival[] },
): Promise<Contender | null> {
  if (!await peers.installed("nc", "tar")) return null;
  if (!(await complaints("nc", "-h")).includes("OpenBSD")) {
    peers.work.skip("tar+nc: nc is not the one of netcat-openbsd");
    return null;
  }
  let port = 0;
  let receiver: Started;
  return {
    name: "tar+nc",
    makes,
    rivals,
    async prepare() {
      await Deno.mkdir(makes);
      port = freePort();
      receiver = start(["sh", "-c", 'nc -l 127.0.0.1 "$1" | tar x -C "$2"', "sh", `${port}`, makes]);
      await listening(port, receiver);
    },
    async run() {
      try {
        await run("sh", "-c", 'tar c -C "$1" "$2" | nc -N 127.0.0.1 "$3"', "sh", folder, name, `${port}`);
        await finish(receiver);
      } catch (error) {
        await stop(receiver);
        throw error;
      }
    },
    check: () => same(join(folder, name), join(makes, name)),
  };
}
