/**
 * `auth-token`: bearer tokens, from a file that `fsh token` writes. The file has only their hashes.
 *
 * Whoever shows a token is the user that it is named after, with its folder and its rights; the name that was claimed
 * does not matter. A token that is not in the file is left to the next plugin; one that has expired is refused.
 *
 * @module
 */
import { accountUser, type Admission, findToken, parseTokensFile, type Plugin } from "../lib/plugin.ts";
import { started, textOption } from "./option_values.ts";
import { WatchedFile } from "./watched_file.ts";

type Tokens = ReturnType<typeof parseTokensFile>;
type Entry = Tokens extends ReadonlyMap<string, infer E> ? E : never;

export function createAuthToken(): Plugin {
  let file: WatchedFile<Tokens> | undefined;
  return {
    name: "auth-token",
    description: "bearer tokens, from a file that `fsh token` writes",
    options: {
      file: { type: "string", help: "the tokens file; read again whenever it changes" },
    },
    methods: ["token", "explain"],
    async start({ options, log }) {
      const path = textOption(options, "file") ?? "";
      file = await WatchedFile.open(path, { parse: parseTokensFile, log, make: `fsh token add ${path} NAME` });
    },
    hooks: {
      async authenticate({ method, token, user }) {
        if (method === "explain") return admitNamed(await started(file).current(), user?.name ?? "");
        if (method !== "token" || token === undefined) return undefined;
        const found = findToken(await started(file).current(), token);
        return found === null ? undefined : admit(found);
      },
    },
  };
}

function admitNamed(tokens: Tokens, name: string): Admission | undefined {
  const entry = tokens.get(name);
  return entry && admit([name, entry]);
}

function admit([name, entry]: readonly [string, Entry]): Admission {
  const user = accountUser(name, entry);
  if (user.expires !== undefined && user.expires <= Date.now()) {
    return { allow: false, reason: `this token expired on ${entry.expires}` };
  }
  return { user };
}
