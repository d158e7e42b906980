// A relay that makes the way longer: `delay_proxy.ts PORT MILLISECONDS` (each way). Prints its own port.
import { Proxy } from "../../tests/support/proxy.ts";

const [port, delay] = Deno.args.map(Number);
console.log(new Proxy(port ?? 0, { delay: delay ?? 0 }).port);
