import { FshError } from "../base/errors.ts";
import { checkName } from "../hooks/account.ts";
import { readText, replaceFile } from "../hooks/replace_file.ts";
import { formatTokensFile, hashToken, newToken, parseTokensFile, type Tokens } from "../hooks/tokens_file.ts";
import { ACCOUNT_OPTIONS, accountOf } from "./account_options.ts";
import type { Args, Subcommand } from "./args.ts";
import { note, print } from "./output.ts";

const ACTIONS = ["add", "list", "remove"] as const;

export const tokenCommand: Subcommand = {
  name: "token",
  usage: [
    "add [--home PATH] [--access read|write] [--expires WHEN] FILE NAME",
    "list FILE",
    "remove FILE NAME",
  ],
  summary: "make, list and remove the bearer tokens of a tokens file",
  details: `For the plugin auth-token. FILE is made where there is none; a running server reads it again by itself. The
token is printed once, on standard output: the file has only its hash. Whoever has the token is the user NAME.

  fsh token add tokens.json nightly --home /builds --access read --expires 30d
  fsh serve DIR --plugin auth-token --plugin-option auth-token.file=tokens.json
  FSH_TOKEN=fsh_… fsh get fshs://host/build.tar.zst .`,
  options: ACCOUNT_OPTIONS,
  operands: { min: 2, max: 3 },

  async run(args, environment) {
    const [word = "", file = "", name] = args.operands;
    const action = ACTIONS.find((one) => one === word);
    if (!action) {
      throw new FshError("USAGE", { subject: `fsh token ${word}`, detail: `it takes ${ACTIONS.join(", ")}` });
    }
    checkOptions(action, args);
    if (action === "list") {
      if (name !== undefined) throw new FshError("USAGE", { subject: name, detail: "list takes only a file" });
      await list(file);
    } else {
      if (name === undefined) throw new FshError("USAGE", { subject: `fsh token ${action}`, detail: "name the token" });
      await { add, remove }[action]({ file, name, args, signal: environment.signal });
    }
    return 0;
  },
};

function checkOptions(action: string, args: Args): void {
  const odd = action === "add" ? undefined : ACCOUNT_OPTIONS.find((option) => args.has(option.name));
  if (odd) throw new FshError("USAGE", { subject: `--${odd.name}`, detail: `fsh token ${action} does not take it` });
}

interface Job {
  readonly file: string;
  readonly name: string;
  readonly args: Args;
  readonly signal: AbortSignal;
}

async function add({ file, name, args, signal }: Job): Promise<void> {
  checkName(name, file);
  const { home, access, expires } = accountOf(args);
  const token = newToken();
  await replaceFile(file, (old) => {
    const tokens = new Map(present(old, file));
    if (tokens.has(name)) {
      throw new FshError("EXISTS", {
        subject: `token ${name} in ${file}`,
        detail: "remove it first, or take another name",
      });
    }
    tokens.set(name, {
      sha256: hashToken(token),
      ...(home === undefined || home === null ? {} : { home }),
      ...(access === undefined ? {} : { access }),
      ...(expires === undefined || expires === null ? {} : { expires }),
    });
    return formatTokensFile(tokens);
  }, { signal });
  note(`fsh: ${file}: token ${name} added; this is the only time that it is shown:`);
  print(token);
}

async function remove({ file, name, signal }: Job): Promise<void> {
  await replaceFile(file, (old) => {
    const tokens = new Map(present(old, file));
    if (!tokens.delete(name)) throw new FshError("NOT_FOUND", { subject: `token ${name} in ${file}` });
    return formatTokensFile(tokens);
  }, { signal });
  note(`fsh: ${file}: token ${name} removed`);
}

async function list(file: string): Promise<void> {
  const text = await readText(file);
  if (text === null) throw new FshError("NOT_FOUND", { subject: file });
  const tokens = [...parseTokensFile(text, file)];
  const width = Math.max(4, ...tokens.map(([name]) => name.length));
  for (const [name, { access = "write", expires = "never", home = "/" }] of tokens) {
    print(`${name.padEnd(width)}  ${access.padEnd(5)}  ${expires.padEnd(24)}  ${home}`);
  }
}

function present(old: string | null, file: string): Tokens {
  return old === null ? new Map() : parseTokensFile(old, file);
}
