import { assert, assertEquals, fail } from "@std/assert";
import { type ErrorName, FshError } from "../../lib/base/errors.ts";

/** Passes if the work rejects with the FshError of that name, and hands it back. */
export async function assertFails(work: () => PromiseLike<unknown>, name: ErrorName): Promise<FshError> {
  try {
    await work();
  } catch (error) {
    return named(error, name);
  }
  fail(`no failure, ${name} was due`);
}

/** Passes if the call throws the FshError of that name, and hands it back. */
export function assertThrowsError(call: () => unknown, name: ErrorName): FshError {
  try {
    call();
  } catch (error) {
    return named(error, name);
  }
  fail(`nothing thrown, ${name} was due`);
}

function named(error: unknown, name: ErrorName): FshError {
  assert(error instanceof FshError, `not an FshError: ${error instanceof Error ? error.stack : String(error)}`);
  assertEquals(error.error, name, `${error.error} instead of ${name}: ${error.message}`);
  return error;
}
