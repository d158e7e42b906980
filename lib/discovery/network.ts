import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import { isLoopback } from "../base/address.ts";
import { systemClock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import { Budget } from "./budget.ts";
import { MOST_BYTES } from "./message.ts";

/** Where multicast DNS is spoken (RFC 6762, section 3). Routers pass neither address on. */
const GROUPS = { IPv4: "224.0.0.251", IPv6: "ff02::fb" } as const;
const PORT = 5353;
/** Hops that messages may take, so that others see that they took none (RFC 6762, section 11). */
const HOPS = 255;

/** A network that this machine is on, by one of its interfaces and one version of IP. */
export interface Link {
  readonly name: string;
  readonly family: "IPv4" | "IPv6";
  /** Addresses of this machine there, of either version; of IPv6 those that mean the same on every interface. */
  readonly addresses: readonly string[];
  /** The address by which the system knows the interface. */
  readonly own: string;
  /** Changes with anything that a socket depends on. */
  readonly state: string;
  /** Whether a machine with this address, of the link's version, is on it. */
  has(address: string): boolean;
}

/** Sends to everybody on a link, and hears them. */
export interface LinkSocket {
  /** Resolves when the system has taken it; what can't be sent is lost, as on the way. */
  send(bytes: Uint8Array): Promise<void>;
  /** Joins again whom an interface that went and came has forgotten. */
  rejoin(): void;
  close(): void;
}

export interface Hearer {
  heard(bytes: Uint8Array): void;
  /** The socket is of no use any more. */
  broken(error: Error): void;
}

/** The system's networks, or a test's. */
export interface Network {
  links(): Link[];
  /** @throws {FshError} ADDRESS_IN_USE, NO_MULTICAST */
  open(link: Link, hearer: Hearer): Promise<LinkSocket>;
}

export const systemNetwork: Network = { links: systemLinks, open: openLink };

/** All interfaces that have addresses, the loopback left out. */
function systemLinks(): Link[] {
  const byName = new Map<string, Deno.NetworkInterfaceInfo[]>();
  for (const one of Deno.networkInterfaces()) {
    if (!isLoopback(one.address)) byName.set(one.name, [...byName.get(one.name) ?? [], one]);
  }
  return [...byName].flatMap(([name, all]) => {
    const four = all.filter(({ family }) => family === "IPv4");
    const [local, ...others] = all.filter(({ address }) => isLinkLocal(address));
    const addresses = all.map(({ address }) => address).filter((address) => !isLinkLocal(address));
    const state = [name, all[0]?.mac, ...addresses].join();
    const nets = four.map(({ address, netmask }) => [numberOf(address), numberOf(netmask)] as const);
    const links: Link[] = [];
    if (four[0]) {
      const has = (remote: string) => nets.some(([address, mask]) => ((address ^ numberOf(remote)) & mask) === 0);
      links.push({ name, family: "IPv4", addresses, own: four[0].address, state: `4,${state}`, has });
    }
    if (local) {
      const known = [local, ...others].map(({ address }) => address).join();
      links.push({
        name,
        family: "IPv6",
        addresses,
        own: `::%${name}`,
        state: `6,${state},${known}`,
        has: isLinkLocal,
      });
    }
    return links;
  });
}

/** Of IPv6 (RFC 4291, section 2.5.6); every interface has such an address, and messages to the group come from it. */
function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}

function numberOf(address: string): number {
  return Buffer.from(address.split(".").map(Number)).readInt32BE();
}

/**
 * A socket on port 5353 together with whoever else speaks multicast DNS on this machine. It is bound to the group's
 * address where the system can do that: so it hears nothing but multicast, and takes nobody's unicast away.
 */
async function openLink(link: Link, hearer: Hearer): Promise<LinkSocket> {
  const { own, family } = link;
  const group = GROUPS[family];
  const to = family === "IPv4" ? group : `${group}%${link.name}`;
  const socket = dgram.createSocket({ type: family === "IPv4" ? "udp4" : "udp6", reuseAddr: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ port: PORT, ...Deno.build.os === "windows" ? {} : { address: to } }, resolve);
    });
    socket.addMembership(group, own);
    socket.setMulticastInterface(own);
    socket.setMulticastTTL(HOPS);
    // So that programs on this machine find each other.
    socket.setMulticastLoopback(true);
  } catch (cause) {
    socket.close();
    throw openError(cause, link);
  }
  socket.removeAllListeners("error");
  socket.on("error", (error: Error) => hearer.broken(error));
  let closed = false;
  socket.once("close", () => closed = true);
  const budget = new Budget(systemClock);
  socket.on("message", (bytes: Uint8Array, { address, port }: { address: string; port: number }) => {
    // Other ports ask for answers by unicast, or answer without being entitled to (RFC 6762, sections 6 and 6.7).
    if (port === PORT && bytes.length <= MOST_BYTES && link.has(address)) budget.spend(() => hearer.heard(bytes));
  });
  return {
    send: (bytes) =>
      new Promise((resolve) => {
        if (closed) resolve();
        else socket.send(bytes, PORT, to, () => resolve());
      }),
    rejoin() {
      try {
        socket.addMembership(group, own);
      } catch {
        // It is a member still, or the interface is gone, which the next look at them shows.
      }
    },
    close() {
      socket.removeAllListeners("message");
      if (!closed) socket.close();
      closed = true;
    },
  };
}

function openError(cause: unknown, link: Link): FshError {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "EADDRINUSE") {
    const detail = "another program speaks multicast DNS and does not share the port";
    return new FshError("ADDRESS_IN_USE", { subject: `UDP port ${PORT}`, detail, cause });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new FshError("NO_MULTICAST", { subject: link.name, detail: why, cause });
}
