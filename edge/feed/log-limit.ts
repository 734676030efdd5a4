import type { LogFields, Logger, LogLevel } from "../../shared/core/logger.ts";
import { createBucket } from "../../shared/core/token-bucket.ts";

/** Messages in a row, and how long until there may be another: an agent fills no journal. */
const BURST = 20;
const EVERY_MS = 5_000;

/** A logger for what strangers cause: what is over the limit is counted, and told by the next line. */
export function createLogLimit(
  monotonicMs: () => number,
  write: (level: LogLevel, message: string, fields: LogFields) => void,
): Logger {
  const bucket = createBucket({ burst: BURST, perMs: 1 / EVERY_MS, monotonicMs });
  let suppressed = 0;
  const limited = (level: LogLevel, message: string, fields: LogFields): void => {
    if (!bucket.take()) {
      suppressed++;
      return;
    }
    write(level, message, suppressed === 0 ? fields : { ...fields, suppressed });
    suppressed = 0;
  };
  const bound = (fields: LogFields): Logger => ({
    debug: (message, more) => limited("debug", message, { ...fields, ...more }),
    info: (message, more) => limited("info", message, { ...fields, ...more }),
    warn: (message, more) => limited("warn", message, { ...fields, ...more }),
    error: (message, more) => limited("error", message, { ...fields, ...more }),
    with: (more) => bound({ ...fields, ...more }),
  });
  return bound({});
}
