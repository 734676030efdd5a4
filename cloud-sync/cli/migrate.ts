import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { createCentralLog } from "../log/event-log.ts";
import { type Verb, verb } from "./verb.ts";

export const migrate: Verb = verb({
  name: "migrate",
  summary: "bring the schema of the database up to this version; start does it, too",
  options: {},
  example: "porchlight-cloud migrate --data ./data",
  operands: NO_OPERANDS,
  async run({ database, terminal }) {
    const opened = await database();
    await createCentralLog(opened).open();
    terminal.data({ migrated: opened.place }, `the schema of ${opened.place} is up to date`);
    return EXIT.ok;
  },
});
