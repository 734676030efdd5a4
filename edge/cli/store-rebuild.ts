import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { type Verb, verb } from "./verb.ts";

export const storeRebuild: Verb = verb({
  name: "store rebuild",
  summary: "rebuild the projections (gallery, people, visits) by replaying the log",
  options: {},
  example: "porchlight store rebuild",
  operands: NO_OPERANDS,
  async run({ store: open, terminal }) {
    const store = open();
    store.rebuild();
    const facts = {
      entries: store.log.head().seq,
      people: store.gallery.people().length,
      templates: store.gallery.templates().length,
      visits: store.visits.count(),
    };
    const { entries, people, templates, visits } = facts;
    const words = `${entries} entries: ${people} people, ${templates} templates, ${visits} visits`;
    terminal.data(facts, words);
    return EXIT.ok;
  },
});
