// A tree of many small files, from a server and to it.
import { join } from "@std/path";
import { FSH } from "../../tests/support/program.ts";
import type { Comparison, Contender } from "./measure.ts";
import type { Peers } from "./peers.ts";
import { tarPipe } from "./pipe.ts";
import { output } from "./processes.ts";
import { startSftp } from "./sftp.ts";
import { copying, filesPerSecond } from "./workspace.ts";

export async function getTree(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await work.makeTree();
  const { copy: makes, served } = work;
  const source = join(served, "tree");
  const { url } = await peers.fsh("--durability", "none");
  const contenders: Contender[] = [
    copying({ name: "fsh", source, makes, command: [FSH, "get", "-q", "-r", `${url}tree`, makes] }),
  ];

  const rsync = await peers.rsync();
  if (rsync) {
    const rivals = [{ ours: "fsh", atLeast: 1.5 }];
    const command = ["rsync", "-a", `${rsync}tree/`, `${makes}/`];
    contenders.push(copying({ name: "rsync -a", rivals, source, makes, command }));
  }
  const sftp = await startSftp(peers);
  if (sftp) {
    const rivals = [{ ours: "fsh", atLeast: 5 }];
    const command = await sftp(`get -r "${source}" "${makes}"`);
    contenders.push(copying({ name: "sftp", rivals, source, makes, command }));
  }
  const tar = await tarPipe(peers, { folder: served, name: "tree", makes, rivals: [{ ours: "fsh" }] });
  if (tar) contenders.push(tar);
  const title = `get ${work.files} files of 4 KiB`;
  return { name: "get-tree", title, unit: filesPerSecond(work.files), writes: work.treeBytes, contenders };
}

export async function putTree(peers: Peers): Promise<Comparison> {
  const { work } = peers;
  await work.makeTree();
  const { made: makes, local } = work;
  const source = join(local, "tree");
  const fast = await peers.fsh("--durability", "none");
  const safe = await peers.fsh("--durability", "file");
  const put = (url: string) => [FSH, "put", "-q", "-r", source, `${url}made`];
  const [none, file] = ["fsh, durability none", "fsh, durability file"] as const;
  const contenders: Contender[] = [
    copying({ name: none, source, makes, command: put(fast.url) }),
    copying({ name: file, source, makes, command: put(safe.url) }),
  ];

  const rsync = await peers.rsync();
  if (rsync) {
    const sides = ["-a", `${source}/`, `${rsync}made/`];
    const rivals = [{ ours: none, atLeast: 1.5 }];
    contenders.push(copying({ name: "rsync -a", rivals, source, makes, command: ["rsync", ...sides] }));
    if ((await output("rsync", "--help")).includes("--fsync")) {
      const rivals = [{ ours: file, atLeast: 1.5 }];
      const command = ["rsync", "--fsync", ...sides];
      contenders.push(copying({ name: "rsync -a --fsync", rivals, source, makes, command }));
    } else work.skip("rsync --fsync: this rsync does not have it");
  }
  const sftp = await startSftp(peers);
  if (sftp) {
    const rivals = [{ ours: none, atLeast: 5 }];
    const command = await sftp(`put -r "${source}" "${makes}"`);
    contenders.push(copying({ name: "sftp", rivals, source, makes, command }));
  }
  const tar = await tarPipe(peers, { folder: local, name: "tree", makes, rivals: [{ ours: none }] });
  if (tar) contenders.push(tar);
  const title = `put ${work.files} files of 4 KiB`;
  return { name: "put-tree", title, unit: filesPerSecond(work.files), writes: work.treeBytes, contenders };
}
