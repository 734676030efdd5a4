import { systemClock } from "../../shared/core/clock.ts";
import { createLogger, type Logger, type LogLevel } from "../../shared/core/logger.ts";

/** Writes to stderr; the level is asked for each message, and is `info` as long as it is not known. */
export function createProcessLogger(level: () => LogLevel | undefined): Logger {
  return createLogger({
    get level() {
      return level() ?? "info";
    },
    now: systemClock.now,
    write: (line) => process.stderr.write(line),
  });
}
