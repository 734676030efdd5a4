export type LogLevel = "debug" | "info" | "warn" | "error";

/** Fields of a log message. Never a face, an embedding, a name, a key or a password. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** `info` is lifecycle, `warn` unexpected but nothing lost, `error` data lost or a person needed. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** The least severe level that is written. Asked for each message: it may change meanwhile. */
  readonly level: LogLevel;
  readonly now: () => number;
  readonly write: (line: string) => void;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Writes one JSON object a line: `{"at":…,"level":…,"message":…, …fields}`. */
export function createLogger(options: LoggerOptions, bound: LogFields = {}): Logger {
  const log = (level: LogLevel, message: string, fields?: LogFields): void => {
    if (RANK[level] < RANK[options.level]) return;
    const at = new Date(options.now()).toISOString();
    options.write(`${JSON.stringify({ at, level, message, ...bound, ...fields })}\n`);
  };
  return {
    debug: (message, fields) => log("debug", message, fields),
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    error: (message, fields) => log("error", message, fields),
    with: (fields) => createLogger(options, { ...bound, ...fields }),
  };
}

/** For callers that have nothing to say. */
export const silentLogger: Logger = createLogger({
  level: "error",
  now: () => 0,
  write: () => undefined,
});
