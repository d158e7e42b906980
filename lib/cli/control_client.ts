import { encodeUtf8, printable } from "../base/bytes.ts";
import { withDeadline } from "../base/clock.ts";
import { errorName, FshError, isError } from "../base/errors.ts";
import { LineReader } from "../base/line_reader.ts";
import type { ServerFact } from "../server/control.ts";
import type { ControlRequest } from "../server/control_requests.ts";
import { osError } from "../storage/os_error.ts";
import type { Args, Environment, OptionRow } from "./args.ts";
import { controlFolders, livingSockets } from "./control_place.ts";

/** Options of every subcommand that talks to a running server over its control socket. */
export const CONTROL_CLIENT_OPTIONS: readonly OptionRow[] = [
  { name: "control", value: "PATH", help: "the server's control socket; by default that of the only one that runs" },
  { name: "json", help: "one JSON object per line" },
];

/** Milliseconds for each line of an answer; a kicked client is given 10 s to hear of it. */
const PATIENCE = 20_000;
/** As long as it takes to see which servers run. */
const SHORT_PATIENCE = 2_000;
/** Bytes of a line: what a session with many requests makes is far shorter. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

/** A line of an answer, by the name that its object has for it. */
export type AnswerLine = Readonly<Record<string, unknown>>;

/**
 * Asks the server that `--control` names, or the only one that runs, and yields what it answers, line by line.
 *
 * @throws {FshError} NO_SERVER; USAGE: several run, which it lists; NOT_PERMITTED: it is another user's; what the server
 * answers; INTERRUPTED
 */
export async function* ask(
  request: ControlRequest,
  { args, environment }: { readonly args: Args; readonly environment: Environment },
): AsyncGenerator<AnswerLine> {
  const path = args.has("control") ? args.value("control") : await onlySocket(environment);
  yield* askAt(path, request, { environment, patience: PATIENCE });
}

async function* askAt(
  path: string,
  request: ControlRequest,
  { environment: { signal }, patience }: { readonly environment: Environment; readonly patience: number },
): AsyncGenerator<AnswerLine> {
  const connection = await connect(path);
  const interrupt = () => connection.close();
  signal.addEventListener("abort", interrupt);
  try {
    if (signal.aborted) throw new FshError("INTERRUPTED");
    const bytes = encodeUtf8(JSON.stringify(request) + "\n");
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    const lines = new LineReader(connection, { most: LONGEST_ANSWER, fault: "NO_SERVER" });
    for (;;) {
      const line = await withDeadline(lines.next(), patience, () => silent(path, patience));
      if (line === null) throw new FshError("NO_SERVER", { subject: path, detail: "it ended before it had answered" });
      const answer = parseAnswer(line, path);
      yield answer;
      if ("done" in answer) return;
    }
  } catch (error) {
    if (signal.aborted) throw new FshError("INTERRUPTED");
    throw error instanceof FshError ? error : osError(error, path);
  } finally {
    signal.removeEventListener("abort", interrupt);
    if (!signal.aborted) connection.close();
  }
}

/** @throws {FshError} what the server says instead of an answer; NO_SERVER: that is no server's */
function parseAnswer(line: string, path: string): AnswerLine {
  const answer: unknown = parseJson(line);
  if (typeof answer !== "object" || answer === null) {
    throw new FshError("NO_SERVER", {
      subject: path,
      detail: "what is there does not speak as a server's control socket",
    });
  }
  const fields: AnswerLine = Object.fromEntries(Object.entries(answer));
  if (typeof fields.error !== "object" || fields.error === null) return fields;
  const { code, subject, detail } = Object.fromEntries(Object.entries(fields.error));
  throw new FshError(errorName(Number(code)), {
    subject: typeof subject === "string" ? subject : undefined,
    detail: typeof detail === "string" ? detail : undefined,
    remote: true,
  });
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function silent(path: string, patience: number): FshError {
  return new FshError("NO_SERVER", { subject: path, detail: `no answer within ${patience / 1000} s; is it stopped?` });
}

async function connect(path: string): Promise<Deno.UnixConn> {
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new FshError("NO_SERVER", { subject: path, detail: "not there" });
    if (error instanceof Deno.errors.ConnectionRefused) {
      throw new FshError("NO_SERVER", { subject: path, detail: "its server has ended" });
    }
    if (error instanceof TypeError) {
      throw new FshError("USAGE", { subject: path, detail: "too long for a Unix socket" });
    }
    throw osError(error, path);
  }
}

async function onlySocket(environment: Environment): Promise<string> {
  const [first, ...others] = await livingSockets();
  if (first === undefined) {
    const where = controlFolders().join(" and ") || "XDG_RUNTIME_DIR and HOME, which are not set";
    throw new FshError("NO_SERVER", { detail: `none in ${where}; --control PATH names one` });
  }
  if (others.length === 0) return first;
  const lines = await Promise.all([first, ...others].map((path) => introduce(path, environment)));
  const detail = "name one of them with --control";
  throw new FshError("USAGE", {
    subject: `${lines.length} servers are running`,
    detail: [detail, ...lines].join("; "),
  });
}

/** One of several servers, in a few words. */
async function introduce(path: string, environment: Environment): Promise<string> {
  try {
    for await (const { done } of askAt(path, { request: "about" }, { environment, patience: SHORT_PATIENCE })) {
      const { folder, url, pid } = done as ServerFact;
      return `${path} serves ${printable(folder)} on ${url} (pid ${pid})`;
    }
  } catch (error) {
    if (isError(error, "INTERRUPTED")) throw error;
  }
  return `${path} does not answer`;
}
