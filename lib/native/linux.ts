import { SYMBOLS } from "./libc.ts";
import { LinuxPrivileges } from "./linux_privileges.ts";
import { LinuxDescriptors } from "./linux_descriptors.ts";
import { LinuxPeers } from "./linux_peers.ts";
import { LinuxSocketTable } from "./linux_socket_table.ts";
import { LinuxSockets } from "./linux_sockets.ts";
import type { Native } from "./native.ts";

const M_MMAP_THRESHOLD = -3; // malloc.h
/** Blocks from this many bytes on are mapped one by one. Unset, the threshold climbs to the largest block ever freed. */
const LARGE_BLOCK = 256 * 1024;

const RLIMIT_NOFILE = 7; // asm-generic/resource.h, the same on x86-64 and arm64

/** The Linux additions by way of the C library. Throws where that can't be had (another libc, no FFI permission). */
export function loadLinux(): Native {
  const libc = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  const descriptors = new LinuxDescriptors(libc);
  const unconfined = descriptors.lacks();
  return {
    name: "linux",
    sockets: new LinuxSockets(libc),
    descriptors: unconfined === null ? descriptors : null,
    unconfined,
    heap: {
      returnLargeBlocks: () => void libc.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK),
      trim: () => void libc.malloc_trim(0n),
    },
    privileges: new LinuxPrivileges(libc),
    process: {
      get mostDescriptors() {
        const limits = new BigUint64Array(2); // struct rlimit: soft, hard; 64 bits each
        const failed = libc.getrlimit(RLIMIT_NOFILE, new Uint8Array(limits.buffer)) !== 0;
        return failed ? null : Number(limits[0]);
      },
    },
    socketTable: new LinuxSocketTable(),
    localPeers: new LinuxPeers(libc),
  };
}
