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

export function createAuthToken(): Plugin {
  let file: WatchedFile<Tokens> | undefined;
  return {
    name: "auth-token",
    description: "bearer tokens, from a file that `fsh token` writes",
    options: {
      file: { type: "string", help: "the tokens file; read again whenever it changes" },
    },
    methods: ["token"],
    async start({ options, log }) {
      file = await WatchedFile.open(textOption(options, "file") ?? "", { parse: parseTokensFile, log });
    },
    hooks: {
      async authenticate({ method, token }) {
        if (method !== "token" || token === undefined) return undefined;
        return admit(await started(file).current(), token);
      },
    },
  };
}

function admit(tokens: Tokens, token: string): Admission | undefined {
  const found = findToken(tokens, token);
  if (found === null) return undefined;
  const [name, entry] = found;
  const user = accountUser(name, entry);
  if (user.expires !== undefined && user.expires <= Date.now()) {
    return { allow: false, reason: `this token expired on ${entry.expires}` };
  }
  return { user };
}
