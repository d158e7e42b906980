import { DEFAULT_PORT } from "../client/url.ts";
import type { Subcommand } from "./args.ts";
import { printAll } from "./output.ts";

export const dissectorCommand: Subcommand = {
  name: "dissector",
  usage: ["> FILE.lua"],
  summary: "print a dissector of FSH/1 for Wireshark",
  details:
    `Written in Lua, for Wireshark and tshark: it names and decodes every frame of a capture, whoever made it, and
marks what is malformed.

  fsh dissector > fsh.lua
  tshark -X lua_script:fsh.lua -r some.pcap -V -Y fsh
  tshark -X lua_script:fsh.lua -i lo -Y 'fsh.type == 0x22'`,
  options: [],
  operands: { min: 0, max: 0 },

  async run() {
    const { dissector } = await import("../trace/dissector.ts");
    await printAll(dissector({ port: DEFAULT_PORT, alpn: "fsh/1" }));
    return 0;
  },
};
