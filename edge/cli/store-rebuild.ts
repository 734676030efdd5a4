import { EXIT } from "../../shared/core/errors.ts";
import type { Verb } from "./verb.ts";

export const storeRebuild: Verb = {
  name: "store rebuild",
  usage: "",
  summary: "forget gallery, people and visits, and read them again from the log",
  options: {},
  optionHelp: {},
  example: "porchlight store rebuild",
  operands: { min: 0, max: 0 },
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
};
