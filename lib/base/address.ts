/** Whether a numeric address, without brackets, is one of this machine's own that no other machine reaches. */
export function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address);
}

/** Takes `address:port` apart, which has brackets around an IPv6 address, as the runtime writes it; port 0: there is none. */
export function splitAddress(remote: string): { readonly address: string; readonly port: number } {
  const cut = remote.lastIndexOf(":");
  const address = (cut < 0 ? remote : remote.slice(0, cut)).replace(/^\[|\]$/g, "");
  return { address, port: cut < 0 ? 0 : Number(remote.slice(cut + 1)) || 0 };
}
