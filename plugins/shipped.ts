import type { Plugin } from "../lib/plugin.ts";
import { createAccessLog } from "./access_log/access_log.ts";
import { createAuthToken } from "./auth_token.ts";
import { createAuthUsers } from "./auth_users.ts";
import { createPathFilter } from "./path_filter/path_filter.ts";
import { createQuota } from "./quota/quota.ts";
import { createRateGuard } from "./rate_guard/rate_guard.ts";
import { createWebhook } from "./webhook/webhook.ts";

/** The plugins that ship with fsh, by name. Each call makes one with a state of its own. */
export const SHIPPED: Readonly<Record<string, () => Plugin>> = {
  "auth-users": () => createAuthUsers(),
  "auth-token": () => createAuthToken(),
  "path-filter": () => createPathFilter(),
  "access-log": () => createAccessLog(),
  "rate-guard": () => createRateGuard(),
  "quota": () => createQuota(),
  "webhook": () => createWebhook(),
};
