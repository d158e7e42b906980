// `fsh serve DIR …` from source with the jail taken away: paths go to the system as they are. For tests that have to show
// that they would see an escape. Nothing in fsh itself can do this.
import { main } from "../../lib/cli/main.ts";
import { CheckedJail } from "../../lib/storage/checked_jail.ts";
import type { Held } from "../../lib/storage/jail.ts";

const root = Deno.args[1] ?? "";

// The runtime opens what lies in /dev/shm only while it has every permission.
Deno.permissions.revokeSync = (descriptor) => Deno.permissions.querySync(descriptor);

CheckedJail.prototype.hold = async function (path): Promise<Held> {
  return { path: await Deno.realPath(root + path), [Symbol.dispose]: () => {} };
};
CheckedJail.prototype.look = (held) => Deno.statSync(held.path);
CheckedJail.prototype.strict = function () {
  return this;
};
CheckedJail.prototype.resolve = (path) => Promise.resolve(path);

Deno.exit(await main(Deno.args));
