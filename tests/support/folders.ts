import { names } from "./program.ts";

/** Files by their paths. */
export async function fill(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    if (typeof content === "string") await Deno.writeTextFile(`${folder}/${path}`, content);
    else await Deno.writeFile(`${folder}/${path}`, content);
  }
}

/** A new temporary folder with files in it. */
export async function filled(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "fsh-e2e-" });
  await fill(folder, files);
  return folder;
}

/** Everything in a folder, part files among it. */
export function allNames(folder: string): string[] {
  return names(folder).flatMap((name) => {
    const isDirectory = Deno.statSync(`${folder}/${name}`).isDirectory;
    return isDirectory ? allNames(`${folder}/${name}`).map((below) => `${name}/${below}`) : [name];
  });
}
