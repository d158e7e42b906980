// Somebody on the local network who says over multicast DNS what the lines on standard input tell, and prints what comes
// in. Argument: the address. Run by `Stranger`, in a network namespace.
import dgram from "node:dgram";

const GROUP = "224.0.0.251";
const PORT = 5353;
const [address = ""] = Deno.args;

/** What came to the group, to this machine's port 5353, and to a port of its own. */
const sockets = { group: await bound(GROUP, PORT), mdns: await bound(address, PORT), own: await bound(address, 0) };
sockets.group.addMembership(GROUP, address);
for (const socket of Object.values(sockets)) socket.setMulticastInterface(address);
console.log("ready");

for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(lines())) {
  const { from, to, data } = JSON.parse(text) as { from: keyof typeof sockets; to: string; data: string };
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  await new Promise<void>((resolve) => sockets[from].send(bytes, PORT, to === "group" ? GROUP : to, () => resolve()));
  console.log("said");
}
for (const socket of Object.values(sockets)) socket.close();

async function bound(host: string, port: number): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type: "udp4", reuseAddr: true });
  await new Promise<void>((resolve) => socket.bind(port, host, resolve));
  socket.on("message", (bytes: Uint8Array, { address }: { address: string }) => {
    const by = (Object.keys(sockets) as (keyof typeof sockets)[]).find((name) => sockets[name] === socket);
    console.log(JSON.stringify({ by, from: address, data: btoa(String.fromCharCode(...bytes)) }));
  });
  return socket;
}

function lines(): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(text, controller) {
      const all = (rest + text).split("\n");
      rest = all.pop() ?? "";
      for (const line of all) controller.enqueue(line);
    },
  });
}
