import { main } from "./lib/cli/main.ts";
import { SANDBOX, sandboxMain } from "./lib/cli/sandbox.ts";

// The system's authorities count beside those that the runtime brings; it looks at this when it first needs them.
if (!Deno.env.get("DENO_TLS_CA_STORE")) Deno.env.set("DENO_TLS_CA_STORE", "system,mozilla");

const [first, second] = Deno.args;
if (import.meta.main) Deno.exit(await (first === SANDBOX ? sandboxMain(second) : main(Deno.args)));
