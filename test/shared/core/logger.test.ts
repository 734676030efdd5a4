import * as assert from "uvu/assert";
import { createLogger, type LogLevel } from "../../../shared/core/logger.ts";
import { suite } from "../../support/suite.ts";

const logging = suite("the level of a logger");
const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

logging("holds from the moment it changes, also for loggers made of it before", () => {
  let level: LogLevel = "info";
  const lines: string[] = [];
  const logger = createLogger({
    get level() {
      return level;
    },
    now: () => 0,
    write: (line) => lines.push(line),
  });
  const bound = logger.with({ camera: "door" });
  const written = (): readonly unknown[] => {
    lines.length = 0;
    for (const each of LEVELS) {
      logger[each]("said");
      bound[each]("said");
    }
    return lines.map((line) => (JSON.parse(line) as { level: string }).level);
  };
  for (const now of ["debug", "error", "warn", "info"] as const) {
    level = now;
    const loud = LEVELS.slice(LEVELS.indexOf(now));
    assert.equal(
      written(),
      loud.flatMap((each) => [each, each]),
      now,
    );
  }
});

logging.run();
