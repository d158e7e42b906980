/** A plugin to begin with: allows what a server without it allows, and shows each hook that most plugins need. */
export function starterPlugin(name: string, file: string): string {
  return `/// <reference path="./fsh-plugin.d.ts" />
// A plugin of fsh. Try it:   fsh plugin check ${file}
// Use it:                    fsh serve --plugin ${file}
// Types for your editor:     fsh plugin types
import { definePlugin } from "fsh/plugin";

export default definePlugin({
  name: "${name}",
  description: "says who may do what",

  // A plugin may do nothing by itself. What it needs beyond that it asks for here, and the operator allows it:
  //   permissions: { read: ["./users.json"], net: ["127.0.0.1:389"] },
  // fsh serve --plugin ${file} --plugin-allow ${name}
  permissions: {},

  // Set by --plugin-option ${name}.keys=false
  options: {
    keys: { type: "boolean", default: true, help: "refuse files that end in .key" },
  },

  hooks: {
    // Before a command touches anything. Nothing returned: no opinion, the next plugin decides.
    authorize(event, { options }) {
      if (options.keys && event.path.endsWith(".key")) return { allow: false, reason: "keys stay here" };
    },

    // null hides a path: it is not found, and in no listing.
    filterPath: (event) => event.path === "/private" || event.path.startsWith("/private/") ? null : event.path,

    // After the fact. What is printed comes out on the server's standard output.
    completed(event) {
      console.log(JSON.stringify({ time: event.time, user: event.user?.name, command: event.command, path: event.path }));
    },

    // With an authenticate hook, only those come in whom it names:
    //   authenticate: (event) => event.method === "token" && event.token === "…" ? { user: { name: "backup" } } : undefined,
  },
});
`;
}
