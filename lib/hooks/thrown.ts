/** A symbol in its text, a getter that throws, an object without a prototype: there is no end to what may be thrown. */
const INDESCRIBABLE = "it threw something that can't be described";

/** Characters. */
const MOST = 64 * 1024;

/** What was thrown, in words. Plugins throw what they like: never throws itself, whatever `describe` does. */
export function describeThrown(error: unknown, describe: (error: unknown) => string = inShort): string {
  try {
    return describe(error).slice(0, MOST);
  } catch {
    return INDESCRIBABLE;
  }
}

/** The message of an error without its name. */
export function messageOf(error: unknown): string {
  return describeThrown(error, (error) => error instanceof Error ? String(error.message) : String(error));
}

function inShort(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
