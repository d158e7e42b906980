import { FshError } from "../base/errors.ts";
import { parseUrl } from "../client/url.ts";
import type { Subcommand } from "./args.ts";
import { KnownHosts } from "./known_hosts.ts";
import { displayName, note } from "./output.ts";

export const forgetCommand: Subcommand = {
  name: "forget",
  usage: ["HOST[:PORT]"],
  summary: "forget a server's certificate",
  details: `Deletes what is remembered of a server of fshs:// URLs, at one port or at all. The next contact is the
first again. It is kept in $XDG_CONFIG_HOME/fsh/known_hosts, or ~/.config/fsh/known_hosts: a line for each, with host,
port, fingerprint and certificate. To refuse a certificate for ever write @revoked before its line (* for the host and
for the port: wherever it shows up).

  fsh forget files.example
  fsh forget '[2001:db8::1]:7374'`,
  options: [],
  operands: { min: 1, max: 1 },

  async run(args) {
    const given = args.operands[0] ?? "";
    const { hostname, port } = parseUrl(given.includes("://") ? given : `fshs://${bracketed(given)}`);
    const named = given.includes("://") || /:\d+$/.test(bracketed(given));
    const gone = await new KnownHosts().forget({ hostname, port: named ? port : null });
    if (gone === 0) throw new FshError("NOT_FOUND", { subject: given, detail: "no certificate of it is remembered" });
    note(`fsh: forgotten: ${displayName(given)}`);
    return 0;
  },
};

/** An IPv6 address without brackets has no port. */
function bracketed(host: string): string {
  return !host.startsWith("[") && host.split(":").length > 2 ? `[${host}]` : host;
}
