import type { GrantedOptions, SocketTuning } from "../../native/socket_tuning.ts";
import { formatBytes } from "../values.ts";
import type { Examination, Trial } from "./examination.ts";
import type { Check } from "./machine.ts";
import { median } from "./measuring.ts";
import type { TcpUse } from "./measures.ts";
import { formatRate, percent, time } from "./words.ts";

/** One option of a socket: what was asked for and what the kernel has. */
export interface OptionReport {
  readonly option: string;
  readonly asked: string;
  readonly granted: string;
}

/** Of each option of a connection. */
export function optionReports(tuning: SocketTuning, granted: GrantedOptions): OptionReport[] {
  const { keepAlive, sendBuffer, receiveBuffer, noDelay, linger, userTimeout } = tuning;
  const has = granted.keepAlive;
  const timers = (keep: { idle: number; interval: number; count: number }) =>
    `idle=${keep.idle},interval=${keep.interval},count=${keep.count}`;
  const buffer = (bytes: number | null) => bytes === null ? "as the transfer needs it" : formatBytes(bytes);
  const seconds = (number: number | null) => number === null ? "off" : `${number} s`;
  const ms = (number: number | null) => number === null ? "off" : time(number);
  return [
    {
      option: "keepalive",
      asked: typeof keepAlive === "string" ? keepAlive : timers(keepAlive),
      granted: has.on ? timers(has) : "off",
    },
    { option: "send-buffer", asked: buffer(sendBuffer), granted: `${formatBytes(granted.sendBuffer)} (with overhead)` },
    {
      option: "recv-buffer",
      asked: buffer(receiveBuffer),
      granted: `${formatBytes(granted.receiveBuffer)} (with overhead)`,
    },
    {
      option: "nodelay",
      asked: noDelay,
      granted: `${granted.noDelay ? "on" : "off"}${granted.cork ? ", corked" : ""}`,
    },
    { option: "linger", asked: seconds(linger), granted: seconds(granted.linger) },
    { option: "user-timeout", asked: ms(userTimeout), granted: ms(granted.userTimeout) },
    { option: "congestion", asked: "the system's, or reno within one machine", granted: granted.congestion },
  ];
}

export function examinationText(examination: Examination, tuning: SocketTuning): string[] {
  const { protocol, granted, pings, get, put } = examination;
  const lines = [`PING, idle: ${time(median(pings) ?? 0)}`, ""];
  if (granted) {
    const rows = optionReports(tuning, granted).map(({ option, asked, granted }) => [option, asked, granted]);
    lines.push(...table([["socket option", "asked", "granted by the kernel"], ...rows]), "");
  } else {
    const why = protocol === "quic" ? "there are none over QUIC" : "this system does not tell them";
    lines.push(`socket options and TCP's own figures: ${why}`, "");
  }
  return [...lines, ...trialLines("get", get), "", ...trialLines("put", put)];
}

function trialLines(name: string, trial: Trial): string[] {
  if (trial.skipped !== undefined) return [`${name}: not tried: ${trial.skipped}`];
  const { path, measures, verdict } = trial;
  const { bytes, ms, rate, tcp, cpu, ping } = measures;
  const lines = [`${name} ${path}: ${formatBytes(bytes)} in ${time(ms)}, ${formatRate(rate)}`];
  if (tcp) lines.push(`  ${tcpText(tcp)}`);
  if (ping.loaded !== null) lines.push(`  PING meanwhile ${time(ping.loaded)}`);
  if (cpu) {
    lines.push(`  fsh ran for ${percent(cpu.run / ms)} of the time; all CPUs were idle for ${percent(cpu.idle)}`);
  }
  if (name === "get") lines.push(`  waited for the disk here for ${percent(measures.diskWait / ms)} of the time`);
  if (measures.flush !== null) lines.push(`  on the server's disk at ${formatRate(measures.flush)}`);
  const where = { here: "on this side", there: "on the server", between: "on the way" };
  lines.push(`  BOTTLENECK: ${verdict.bottleneck}${verdict.where === null ? "" : `, ${where[verdict.where]}`}`);
  lines.push(`    ${verdict.why}`, ...verdict.advice.map((advice) => `    to do: ${advice}`));
  return lines;
}

function tcpText(tcp: TcpUse): string {
  const again = tcp.segmentsSent === 0 ? 0 : tcp.retransmits / tcp.segmentsSent;
  return `round trip ${time(tcp.minRtt)} at least, ${time(tcp.rtt)} meanwhile; congestion window ` +
    `${formatBytes(tcp.congestionWindow)}; ${tcp.retransmits} segments sent again (${percent(again)})`;
}

export function machineText(checks: readonly Check[]): string[] {
  const rows = checks.map(({ title, text }) => [title, text]);
  const advice = checks.flatMap(({ title, advice }) => advice === null ? [] : [`to do (${title}): ${advice}`]);
  return [...table(rows), ...advice];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
}
