import type { Plugin } from "../lib/plugin.ts";

/** The plugins that ship with fsh, by name; loaded when they are asked for. Each call makes one with a state of its own. */
export const SHIPPED: Readonly<Record<string, () => Promise<Plugin>>> = {
  "auth-users": async () => (await import("./auth_users.ts")).createAuthUsers(),
  "auth-token": async () => (await import("./auth_token.ts")).createAuthToken(),
  "path-filter": async () => (await import("./path_filter/path_filter.ts")).createPathFilter(),
  "access-log": async () => (await import("./access_log/access_log.ts")).createAccessLog(),
  "rate-guard": async () => (await import("./rate_guard/rate_guard.ts")).createRateGuard(),
  "quota": async () => (await import("./quota/quota.ts")).createQuota(),
  "webhook": async () => (await import("./webhook/webhook.ts")).createWebhook(),
};
