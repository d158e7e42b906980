import { VERSION } from "../base/version.ts";
import { native } from "../native/load.ts";
import type { Subcommand } from "./args.ts";
import { print } from "./output.ts";

export const versionCommand: Subcommand = {
  name: "version",
  usage: [""],
  summary: "print the version, and what this system adds or lacks",
  details: "",
  options: [],
  operands: { min: 0, max: 0 },
  // deno-lint-ignore require-await
  async run() {
    const { sockets, unconfined } = native();
    print(`fsh ${VERSION} (FSH/1, Deno ${Deno.version.deno}, ${Deno.build.target})`);
    print(`socket tuning: ${sockets ? "yes" : "no; keepalive runs on the system's own timers"}`);
    print(
      `paths confined by the kernel: ${
        unconfined === null ? "yes (openat2)" : `no; checked before use, since ${unconfined}`
      }`,
    );
    return 0;
  },
};
