/** Changes whenever one of the files does, as far as their times, sizes and places tell. */
export async function stampOf(files: readonly string[]): Promise<string> {
  return (await stampsOf(files)).map((stamp) => stamp ?? "none").join();
}

/** As `stampOf`; null where one of the files is gone, or out of sight of the user that this process runs as. */
export async function stampIfSeen(files: readonly string[]): Promise<string | null> {
  const stamps = await stampsOf(files);
  return stamps.includes(null) ? null : stamps.join();
}

function stampsOf(files: readonly string[]): Promise<(string | null)[]> {
  return Promise.all(files.map(async (file) => {
    const info = await Deno.stat(file).catch(() => null);
    return info && `${info.mtime?.getTime()}-${info.size}-${info.ino}`;
  }));
}
