import { readAdmission, readPath, readVerdict } from "./answers.ts";
import type { Admission } from "./event.ts";
import type { DecideHook } from "./hooks.ts";
import type { Fold } from "./inquirer.ts";

/** What came of asking whether something may be. */
export interface Ruling {
  readonly allow: boolean;
  /** For the user. */
  readonly reason?: string | undefined;
  /** The plugin that decided; null: none had an opinion. */
  readonly by: string | null;
}

/** What a path became; null: there is no such path. */
export interface Mapping {
  readonly path: string | null;
  /** The plugin that changed or hid it; null: none did. */
  readonly by: string | null;
}

export interface Admitted {
  readonly admission: Admission;
  readonly by: string;
}

const FAILED = "a rule of this server could not be asked";
const NO_OPINION: Ruling = { allow: true, by: null };

export function firstOpinion<N extends DecideHook>(): Fold<N, Ruling> {
  return {
    begin: () => NO_OPINION,
    isOpen: ({ by }) => by === null,
    tell: (facts) => facts,
    take(value, answer, by) {
      const verdict = readVerdict(answer);
      return verdict ? { ...verdict, by } : value;
    },
    fail: (_, by) => ({ allow: false, reason: FAILED, by }),
  };
}

/** As `firstOpinion`, but that something may be is none. */
export function anyRefusal<N extends DecideHook>(): Fold<N, Ruling> {
  return {
    ...firstOpinion(),
    take(value, answer, by) {
      const verdict = readVerdict(answer);
      return verdict && !verdict.allow ? { ...verdict, by } : value;
    },
  };
}

export const FIRST_ADMISSION: Fold<"authenticate", Admitted | null> = {
  begin: () => null,
  isOpen: (value) => value === null,
  tell: (facts) => facts,
  take(value, answer, by) {
    const admission = readAdmission(answer);
    return admission ? { admission, by } : value;
  },
  fail: (_, by) => ({ admission: { allow: false }, by }),
};

/** Every plugin gets what the one before it made of the path. */
export const EACH_MAPS: Fold<"filterPath", Mapping> = {
  begin: ({ path }) => ({ path, by: null }),
  isOpen: ({ path }) => path !== null,
  tell: (facts, { path }) => path === null || path === facts.path ? facts : { ...facts, path },
  take(value, answer, by) {
    const path = readPath(answer);
    return path === undefined || path === value.path ? value : { path, by };
  },
  fail: (_, by) => ({ path: null, by }),
};
