/** Changes whenever one of the files does, as far as their times, sizes and places tell. */
export async function stampOf(files: readonly string[]): Promise<string> {
  const stamps = await Promise.all(files.map(async (file) => {
    const info = await Deno.stat(file).catch(() => null);
    return info ? `${info.mtime?.getTime()}-${info.size}-${info.ino}` : "none";
  }));
  return stamps.join();
}
