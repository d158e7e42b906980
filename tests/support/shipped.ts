import { assertEquals } from "@std/assert";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { fsh, type Outcome } from "./program.ts";

/** Arguments of `fsh serve` and `fsh explain`: plugins by their names, with their options; a list is given once per entry. */
export function shipped(
  plugins: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>,
): string[] {
  return Object.entries(plugins).flatMap(([name, options]) => [
    "--plugin",
    name,
    ...Object.entries(options).flatMap(([key, value]) =>
      [value].flat().flatMap((one) => ["--plugin-option", `${name}.${key}=${one}`])
    ),
  ]);
}

/** None of what the machine that runs the tests has. */
export const NOTHING = { FSH_PASSWORD: "", FSH_TOKEN: "", FSH_IDENTITY: "" };

/** A users file and a tokens file in a folder, written by the program itself. */
export class Accounts {
  readonly users: string;
  readonly tokens: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.users = `${folder}/users.json`;
    this.tokens = `${folder}/tokens.json`;
  }

  /** `fsh passwd` with a password on its standard input; the options come before the file. */
  async password(user: string, password: string, options: readonly string[] = []): Promise<void> {
    const stdin = encodeUtf8(password + "\n");
    const { code, err } = await fsh(["passwd", ...options, this.users, user], { stdin });
    assertEquals(code, 0, err);
  }

  /** A user who comes in with a key, which costs no time; answers the environment that uses it. */
  async key(user: string, options: readonly string[] = []): Promise<Record<string, string>> {
    const file = `${this.#folder}/${user}.id`;
    const made = await fsh(["keygen", file]);
    assertEquals(made.code, 0, made.err);
    await this.change(user, ["--key", `${file}.pub`, ...options]);
    return { ...NOTHING, FSH_IDENTITY: file };
  }

  /** `fsh passwd` without a password. */
  async change(user: string, options: readonly string[]): Promise<void> {
    const { code, err } = await fsh(["passwd", ...options, this.users, user]);
    assertEquals(code, 0, err);
  }

  /** `fsh token add`; answers the token. */
  async token(name: string, options: readonly string[] = []): Promise<string> {
    const { code, out, err } = await fsh(["token", "add", ...options, this.tokens, name]);
    assertEquals(code, 0, err);
    return out.trim();
  }
}

/** Runs fsh as somebody: with nothing of the machine's own, and the given environment. */
export function as(env: Readonly<Record<string, string>>): (...args: string[]) => Promise<Outcome> {
  return (...args) => fsh(args, { env: { ...NOTHING, ...env } });
}

/** The URL of a server with a user in it. */
export function urlOf(server: { readonly url: string }, user: string): string {
  return server.url.replace("//", `//${user}@`);
}
