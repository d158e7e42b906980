import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import { isLoopback } from "../base/address.ts";
import { systemClock } from "../base/clock.ts";
import { FshError } from "../base/errors.ts";
import { Budget } from "./budget.ts";
import { MOST_BYTES } from "./message.ts";

/** Where multicast DNS is spoken (RFC 6762, section 3). Routers do not pass this address on. */
const GROUP = "224.0.0.251";
const PORT = 5353;
/** Hops that messages may take, so that others see that they took none (RFC 6762, section 11). */
const HOPS = 255;

/** A network that this machine is on, by one of its interfaces. */
export interface Link {
  readonly name: string;
  /** Addresses of this machine; of IPv6 those that mean the same on every interface. */
  readonly addresses: readonly string[];
  /** Changes with anything that a socket depends on. */
  readonly state: string;
  /** Whether a machine with this address is on it. */
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

/** All interfaces with an address of IPv4, the loopback left out. */
function systemLinks(): Link[] {
  const byName = new Map<string, Deno.NetworkInterfaceInfo[]>();
  for (const one of Deno.networkInterfaces()) byName.set(one.name, [...byName.get(one.name) ?? [], one]);
  return [...byName].flatMap(([name, all]) => {
    const four = all.filter(({ family, address }) => family === "IPv4" && !isLoopback(address));
    if (four.length === 0) return [];
    const six = all.filter(({ family, address }) =>
      family === "IPv6" && !isLoopback(address) && !/^fe80:/i.test(address)
    );
    const addresses = [...four, ...six].map(({ address }) => address);
    const nets = four.map(({ address, netmask }) => [numberOf(address), numberOf(netmask)] as const);
    return [{
      name,
      addresses,
      state: [name, four[0]?.mac, ...addresses].join(),
      has: (remote: string) => nets.some(([address, mask]) => ((address ^ numberOf(remote)) & mask) === 0),
    }];
  });
}

function numberOf(address: string): number {
  return Buffer.from(address.split(".").map(Number)).readInt32BE();
}

/**
 * A socket on port 5353 together with whoever else speaks multicast DNS on this machine. It is bound to the group's
 * address where the system can do that: so it hears nothing but multicast, and takes nobody's unicast away.
 */
async function openLink(link: Link, hearer: Hearer): Promise<LinkSocket> {
  const [address = ""] = link.addresses;
  const socket = dgram.createSocket({ type: "udp4", reuseAddr: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ port: PORT, ...Deno.build.os === "windows" ? {} : { address: GROUP } }, resolve);
    });
    socket.addMembership(GROUP, address);
    socket.setMulticastInterface(address);
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
        else socket.send(bytes, PORT, GROUP, () => resolve());
      }),
    rejoin() {
      try {
        socket.addMembership(GROUP, address);
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
