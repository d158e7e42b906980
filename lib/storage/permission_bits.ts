/**
 * Of a mode that another machine names, what is taken over: read, write and execute. A setuid or setgid file would run with
 * the rights of whoever wrote it here.
 */
export function permissionBits(mode: number): number {
  return mode & 0o777;
}
