import { hasProgram } from "./program.ts";

/** The system calls of a program, as strace(1) sees them. */
export class Strace implements AsyncDisposable {
  readonly #file: string;
  /** The words before the command that is watched. It keeps its own process id: the tracer is the one that is apart. */
  readonly command: readonly string[];

  private constructor(file: string, calls: string) {
    this.#file = file;
    this.command = ["strace", "-D", "-f", "-qq", "-e", `trace=${calls}`, "-e", "signal=none", "-o", file];
  }

  static available(): boolean {
    if (Deno.build.os !== "linux" || !hasProgram("strace")) return false;
    const { success } = new Deno.Command("strace", {
      args: ["-f", "-o", "/dev/null", "true"],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    return success;
  }

  /** `calls`: their names, with commas in between. */
  static async of(calls: string): Promise<Strace> {
    return new Strace(await Deno.makeTempFile({ prefix: "fsh-strace-" }), calls);
  }

  /** All calls so far. */
  get seen(): string {
    return Deno.readTextFileSync(this.#file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#file);
  }
}
