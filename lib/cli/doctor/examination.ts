import { isLoopback, splitAddress } from "../../base/address.ts";
import { FshError, toFshError } from "../../base/errors.ts";
import type { Client } from "../../client/client.ts";
import type { GrantedOptions, SocketTuning } from "../../native/socket_tuning.ts";
import { FlushedFile } from "./flushed_file.ts";
import { tryGet } from "./get_trial.ts";
import { judge } from "./judgement.ts";
import type { Measures } from "./measures.ts";
import { type BufferLimits, measuresOf, median, rateOf } from "./measuring.ts";
import { shareOfCpu } from "./own_load.ts";
import { mayRemove, trialName, tryFlush, tryPut } from "./put_trial.ts";
import { Sampler, type Samples } from "./sampler.ts";
import type { Verdict } from "./verdicts.ts";

/** PINGs of the idle session. */
const IDLE_PINGS = 7;
/** Milliseconds of trying how much of a CPU there is, before and after a trial. */
const CPU_TRIAL = 100;
/** Milliseconds in which the same bytes are asked for once more. */
const AGAIN_TIME = 1_000;
/** Names of a folder that are looked at for a file to get. */
const MOST_NAMES = 10_000;

export interface ExaminationOptions {
  /** What the URL names: the file to get, or a folder to put into. */
  readonly path: string;
  /** Of this machine: where what comes is written to. */
  readonly folder: string;
  /** For each trial: milliseconds and bytes at the most. */
  readonly time: number;
  readonly bytes: number;
  readonly signal: AbortSignal;
  /** Whether the session runs over TLS. */
  readonly encrypted: boolean;
  readonly tuning: SocketTuning;
  readonly limits: BufferLimits;
}

/** One direction: what came of it, or why it was not tried. */
export type Trial =
  | { readonly path: string; readonly measures: Measures; readonly verdict: Verdict; readonly skipped?: undefined }
  | { readonly skipped: string };

export interface Examination {
  readonly protocol: "tcp" | "quic";
  readonly granted: GrantedOptions | null;
  /** PINGs of the idle session, in milliseconds. */
  readonly pings: readonly number[];
  readonly get: Trial;
  readonly put: Trial;
}

/** Tries a session out in both directions, and leaves nothing behind on either side. */
export async function examine(client: Client, options: ExaminationOptions): Promise<Examination> {
  const pings = await idlePings(client, options.signal);
  const granted = client.session.inspect()?.granted ?? null;
  const { file, folder } = await chooseFile(client, options.path);
  const attempt = { client, options, pings };
  const get = await oneWay(() => file === null ? skip(`no file in ${folder}`) : getTrial(attempt, file));
  const put = await oneWay(() => putTrial(attempt, folder));
  return { protocol: client.session.protocol, granted, pings, get, put };
}

interface Attempt {
  readonly client: Client;
  readonly options: ExaminationOptions;
  readonly pings: readonly number[];
}

function skip(skipped: string): Trial {
  return { skipped };
}

/** What the server does not allow, or has no room for, is no failure of the examination. */
async function oneWay(work: () => Promise<Trial> | Trial): Promise<Trial> {
  try {
    return await work();
  } catch (thrown) {
    const error = toFshError(thrown);
    if (error.error === "INTERRUPTED" || error.error === "INTERNAL" || error.exit === 3) throw error;
    return skip(error.message);
  }
}

async function idlePings(client: Client, signal: AbortSignal): Promise<number[]> {
  // The first one finds everything cold.
  await client.ping();
  const times: number[] = [];
  while (times.length < IDLE_PINGS && !signal.aborted) {
    times.push(await client.ping());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (signal.aborted) throw new FshError("INTERRUPTED");
  return times;
}

/** The file to get, null for none, and the folder to put into. */
async function chooseFile(client: Client, path: string): Promise<{ file: string | null; folder: string }> {
  const info = await client.stat(path);
  if (info.type === "file") return { file: path, folder: path.replace(/\/[^/]*$/, "") || "/" };
  let largest: { name: string; size: number } | null = null;
  let seen = 0;
  for await (const entries of client.list(path)) {
    for (const { type, name, size } of entries) {
      if (type === "file" && size > (largest?.size ?? 0)) largest = { name, size };
    }
    seen += entries.length;
    if (seen >= MOST_NAMES) break;
  }
  return { file: largest && `${path.replace(/\/$/, "")}/${largest.name}`, folder: path };
}

async function getTrial(attempt: Attempt, path: string): Promise<Trial> {
  const { client, options } = attempt;
  await using file = await FlushedFile.create(options.folder);
  const { samples, share } = await sampled(
    attempt,
    "get",
    (begun) => tryGet(client, { ...options, path, begun, sink: (chunk) => file.write(chunk) }),
  );
  const measures = measuresOf(samples, { ...around(attempt), direction: "get", diskWait: file.waited, share });
  const verdict = judge(measures);
  if (verdict.bottleneck !== "server") return { path, measures, verdict };
  // Out of the server's memory now: if that is much faster, it was its disk.
  const sampler = new Sampler(client.session, { direction: "get", encrypted: options.encrypted });
  let again: Samples;
  try {
    const sink = () => {};
    await tryGet(client, { path, sink, time: AGAIN_TIME, bytes: measures.bytes, signal: options.signal });
  } finally {
    again = sampler.stop();
  }
  const more = { ...measures, again: rateOf(again) };
  return { path, measures: more, verdict: judge(more) };
}

async function putTrial(attempt: Attempt, folder: string): Promise<Trial> {
  const { client, options, pings } = attempt;
  const path = trialName(folder);
  const { samples, share } = await sampled(attempt, "put", (begun) => tryPut(client, { ...options, path, begun }));
  const measures = measuresOf(samples, { ...around(attempt), direction: "put", diskWait: 0, share });
  if (options.signal.aborted) throw new FshError("INTERRUPTED");
  if (!await mayRemove(client, path)) return { path: folder, measures, verdict: judge(measures) };
  const flush = await tryFlush(client, { path, rate: measures.rate, ping: median(pings) ?? 0 });
  const more = { ...measures, flush };
  return { path: folder, measures: more, verdict: judge(more) };
}

function around({ client, options, pings }: Attempt) {
  const { tuning, limits } = options;
  return {
    idlePings: pings,
    limits,
    asked: { send: tuning.sendBuffer, receive: tuning.receiveBuffer },
    streamWindow: client.session.terms?.sendWindow ?? 0,
    // A tunnel ends on this machine, too, but takes longer to answer.
    sameMachine: isLoopback(splitAddress(client.session.remote).address) && Math.min(...pings) < 10,
  };
}

/** Samples from the first byte on, with the part of a CPU that there was before and after. */
async function sampled(
  { client, options: { encrypted } }: Attempt,
  direction: "get" | "put",
  work: (begun: () => void) => Promise<unknown>,
): Promise<{ samples: Samples; share: number | null }> {
  const before = shareOfCpu(CPU_TRIAL);
  let sampler: Sampler | undefined;
  let samples: Samples | undefined;
  try {
    await work(() => sampler = new Sampler(client.session, { direction, encrypted }));
  } finally {
    samples = sampler?.stop();
  }
  if (!samples) throw new FshError("NOTHING_TRIED", { detail: "the file is empty" });
  const after = shareOfCpu(CPU_TRIAL);
  return { samples, share: before === null || after === null ? null : (before + after) / 2 };
}
