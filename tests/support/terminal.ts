import { NOTHING } from "./shipped.ts";

/** Runs a command on a terminal of its own, and types into it once it shows certain words. Needs script(1). */
export async function onTerminal(
  command: readonly string[],
  how: { readonly after: string; readonly typed: string; readonly env?: Readonly<Record<string, string>> },
): Promise<{ code: number; shown: string }> {
  const child = new Deno.Command("script", {
    // Ctrl-C is for the command; the shell around it goes on and tells.
    args: [
      "--quiet",
      "--return",
      "--command",
      `trap : INT; ${command.join(" ")}; echo status $?; stty -a`,
      "/dev/null",
    ],
    env: { ...NOTHING, FSH_LOG: "", FSH_URL: "", ...how.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const keys = child.stdin.getWriter();
  let shown = "";
  let asked = false;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    shown += text;
    if (!asked && shown.includes(how.after)) {
      asked = true;
      await keys.write(new TextEncoder().encode(how.typed));
    }
  }
  await keys.close().catch(() => {});
  await child.status;
  return { code: Number(/status (\d+)/.exec(shown)?.[1] ?? -1), shown };
}
