/**
 * A time for the runtime's calls, in seconds: they refuse fractions of times before 1970 (utimensat(2): EINVAL for a
 * negative number of nanoseconds), so those begin with their second.
 */
export function fileTime(ms: number): number {
  return ms < 0 ? Math.floor(ms / 1000) : ms / 1000;
}
