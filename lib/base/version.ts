import config from "../../deno.json" with { type: "json" };

/** The version of fsh, as deno.json states it. */
export const VERSION: string = config.version;
