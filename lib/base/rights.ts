/** The runtime's kinds of permission. */
export const ALL_RIGHTS = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;

export type Right = typeof ALL_RIGHTS[number];

/** Gives up all other permissions of this process, for good. Workers keep those that they were made with. */
export function keepOnly(kept: readonly Right[]): void {
  for (const name of ALL_RIGHTS) if (!kept.includes(name)) Deno.permissions.revokeSync({ name });
}

/** What is really granted now. */
export function rightsNow(): Right[] {
  return ALL_RIGHTS.filter((name) => Deno.permissions.querySync({ name }).state === "granted");
}
