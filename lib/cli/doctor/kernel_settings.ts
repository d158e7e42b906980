import type { BufferLimits } from "./measuring.ts";

/** A setting of the kernel's by its path below /proc/sys; null: this system has none of that name. */
export function kernelSetting(path: string): string | null {
  try {
    return Deno.readTextFileSync(`/proc/sys/${path}`).trim();
  } catch {
    return null;
  }
}

/** What tcp(7) says of tcp_wmem and tcp_rmem: least, first and most bytes. */
export function tcpBufferLimits(): BufferLimits {
  const most = (name: string) => {
    const bytes = Number(kernelSetting(`net/ipv4/${name}`)?.split(/\s+/)[2]);
    return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
  };
  return { send: most("tcp_wmem"), receive: most("tcp_rmem") };
}
