import { randomUUID } from "node:crypto";
import { flag } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { storeOptions } from "../config/options.ts";
import { lockPath } from "../config/paths.ts";
import { lockStore } from "../sqlite/lock.ts";
import { rebuildStore } from "../store/rebuild.ts";
import { type Verb, verb } from "./verb.ts";

export const storeRebuild: Verb = verb({
  name: "store rebuild",
  summary: "rebuild the vault (gallery, people, visits) by replaying the log, also a damaged one",
  options: { unverified: flag("from a log that does not verify, as far as it can be read") },
  example: "porchlight store rebuild",
  operands: NO_OPERANDS,
  async run({ config, environment, values, terminal }) {
    const options = storeOptions(config(), environment, systemClock, randomUUID);
    const lock = lockStore(lockPath(config()), "store rebuild");
    const { store, salvaged } = rebuildStore(options, values);
    const facts = {
      salvaged,
      entries: store.log.head().seq,
      people: store.gallery.people().length,
      templates: store.gallery.templates().length,
      visits: store.visits.count(),
    };
    const { entries, people, templates, visits } = facts;
    const words = `${entries} entries: ${people} people, ${templates} templates, ${visits} visits`;
    store.close();
    lock.release();
    const damage =
      salvaged === null
        ? ""
        : `\nthe vault was damaged: ${salvaged.keys} keys were read, ${salvaged.unreadable} could not be`;
    terminal.data(facts, `${words}${damage}`);
    return EXIT.ok;
  },
});
