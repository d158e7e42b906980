import { dirname, fromFileUrl, join } from "@std/path";

const project = dirname(dirname(dirname(fromFileUrl(import.meta.url))));

/** The command line of a script of the project. */
function fromSource(...script: string[]): readonly string[] {
  const config = join(project, "deno.json");
  return [Deno.execPath(), "run", "--quiet", "--allow-all", "--config", config, join(project, ...script)];
}

/** The command line of fsh as it runs from source, for what needs no compiled executable. */
export const FROM_SOURCE = fromSource("main.ts");
/** The same without a jail; needs FSH_NATIVE=off. */
export const NAIVE = fromSource("tests", "support", "naive_serve.ts");
export const SWAPPER = fromSource("tests", "support", "swapper.ts");

/** Runs fsh from source to its end. */
export async function fshFromSource(
  args: readonly string[],
  options: { cwd: string; input?: string },
): Promise<{ code: number; out: string; err: string }> {
  const [program = "", ...before] = FROM_SOURCE;
  const child = new Deno.Command(program, {
    args: [...before, ...args],
    cwd: options.cwd,
    env: { FSH_LOG: "" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(options.input ?? "")).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}
