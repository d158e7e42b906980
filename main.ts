import { main } from "./lib/cli/main.ts";
import { SANDBOX, sandboxMain } from "./lib/cli/sandbox.ts";

const [first, second] = Deno.args;
if (import.meta.main) Deno.exit(await (first === SANDBOX ? sandboxMain(second) : main(Deno.args)));
