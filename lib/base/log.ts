import { jsonText, printable } from "./bytes.ts";

export const LOG_LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** Facts of one record, by name; they are printed as `name=value`, but for `unhooked`: plugins do not hear of the record. */
export type LogFields = Record<string, string | number | boolean | undefined>;

export interface LogRecord {
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export type LogSink = (record: LogRecord) => void;

/** Leveled, structured log. `with` makes one whose records all carry the given fields. */
export class Log {
  readonly #level: number;
  readonly #sink: LogSink;
  readonly #fields: LogFields;

  constructor(level: LogLevel, sink: LogSink, fields: LogFields = {}) {
    this.#level = LOG_LEVELS.indexOf(level);
    this.#sink = sink;
    this.#fields = fields;
  }

  with(fields: LogFields): Log {
    return new Log(this.level, this.#sink, { ...this.#fields, ...fields });
  }

  /** One whose records pass through `wrap`, which gets this one's sink. */
  through(wrap: (sink: LogSink) => LogSink): Log {
    return new Log(this.level, wrap(this.#sink), this.#fields);
  }

  get level(): LogLevel {
    return LOG_LEVELS[this.#level] ?? "info";
  }

  /** Takes a record that another thread has made, for this level. */
  pass(record: LogRecord): void {
    this.#sink({ ...record, fields: { ...this.#fields, ...record.fields } });
  }

  enabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= this.#level;
  }

  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }
  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }
  trace(message: string, fields?: LogFields): void {
    this.#write("trace", message, fields);
  }

  #write(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.enabled(level)) return;
    this.#sink({ time: new Date(), level, message, fields: { ...this.#fields, ...fields } });
  }
}

/** A log that records nothing. */
export const silentLog = new Log("error", () => {});

/** One line for people: `2026-01-31T09:00:00.000Z info message name=value`. */
export function formatText(record: LogRecord): string {
  let line = `${record.time.toISOString()} ${record.level} ${printable(record.message)}`;
  for (const [name, value] of Object.entries(record.fields)) {
    if (value === undefined || name === "unhooked") continue;
    const text = printable(String(value));
    line += ` ${name}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`;
  }
  return line;
}

/** One JSON object on one line. */
export function formatJson(record: LogRecord): string {
  const { time, level, message, fields: { unhooked: _, ...fields } } = record;
  return jsonText({ time: time.toISOString(), level, event: "log", message, ...fields });
}
