import { createInterface } from "node:readline/promises";
import { flag, text, usageError } from "../../shared/cli/options.ts";
import { type Terminal, table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { replaceFile } from "../host/atomic-file.ts";
import { removalOf } from "../recognition/enrol.ts";
import { enrolledCrop } from "../store/enrolled-crop.ts";
import { cropSheet } from "./crop-sheet.ts";
import { findPerson } from "./find-person.ts";
import { askedNames, checkedName, nameKey } from "./names.ts";
import { type Verb, verb } from "./verb.ts";

/** As long as SQLite waits for any lock. */
const REMOVE_WAIT_MS = 5_000;

/** `destroyed`: the keys are out of the vault, and something else still holds what it was. */
function unfinished(id: string, destroyed: boolean): PorchlightError {
  const who = id.slice(0, 8);
  const message = destroyed
    ? `${who} is not erased yet: the keys are out of the vault, and another process still reads a file that had them`
    : `${who} is not erased yet: the log says so, and the vault could not follow it`;
  return new PorchlightError("erasure.unfinished", message, {
    remedy: "retry",
    hint: destroyed
      ? "see who reads it: fuser -v DATA/vault/vault.db DATA/log/log.db; the daemon goes on by itself, see: porchlight status"
      : "is the disk full (df), or does another process write to it (fuser -v DATA/vault/vault.db)? The daemon goes on by itself, see: porchlight status",
  });
}
const SHORT_ID = 8;
/** Shortest part of a template's id that is taken for it. */
const PREFIX_MIN = 4;
/** Faces in the clear: for their owner alone. */
const FACES_MODE = 0o600;

async function confirmed(terminal: Terminal, question: string): Promise<boolean> {
  if (!terminal.interactive) {
    throw usageError("no terminal to confirm on: add --yes");
  }
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await reader.question(`${question} [y/N] `);
  reader.close();
  return /^y(es)?$/i.test(answer.trim());
}

export const peopleList: Verb = verb({
  name: "people list",
  summary: "who is enrolled",
  options: {},
  example: "porchlight people list --json",
  operands: NO_OPERANDS,
  async run({ store, terminal }) {
    const people = store().gallery.people();
    const rows = people.map(({ id, name, templates, enrolledAtMs }) => [
      id.slice(0, 8),
      name,
      String(templates),
      dateOf(enrolledAtMs),
    ]);
    const words = people.length === 0 ? "" : table(["id", "name", "templates", "enrolled"], rows);
    terminal.data(people, words);
    if (people.length === 0)
      terminal.note("no one is enrolled yet: porchlight enroll <name> <photos…>");
    return EXIT.ok;
  },
});

export const peopleShow: Verb = verb({
  name: "people show",
  summary: "one person and their templates, and what each was made from",
  options: { out: text("FILE", "write their crops as one JPEG, 0600; it is written over") },
  example: "porchlight people show Ada --out sheet.jpg",
  operands: oneOperand("<name or id>"),
  async run({ store: open, terminal, values: { out }, operands }) {
    const [who = ""] = await askedNames(operands, terminal);
    const store = open();
    const { gallery } = store;
    const person = findPerson(gallery, who);
    if (out !== undefined) {
      const crops = gallery.templates(person.id).filter(({ of }) => of === null);
      const tiles = crops.map((template) => ({
        jpeg: enrolledCrop(store, template)?.jpeg ?? null,
        caption: template.id.slice(0, SHORT_ID),
      }));
      replaceFile(out, await cropSheet(tiles), { mode: FACES_MODE });
      terminal.note(`${out}: ${tiles.length} crops, each with its template's id`);
    }
    const templates = gallery.templates(person.id).map(({ photo: _, ...template }) => template);
    const rows = templates.map(({ id, pack, source, widthPx, quality, addedAtMs }) => [
      id.slice(0, 8),
      pack,
      source,
      `${widthPx} px`,
      quality.toFixed(2),
      dateOf(addedAtMs),
    ]);
    const header = ["template", "pack", "source", "face", "quality", "added"];
    const words = `${person.name} (${person.id}), enrolled ${dateOf(person.enrolledAtMs)}`;
    terminal.data({ ...person, templates }, `${words}\n${table(header, rows)}`);
    return EXIT.ok;
  },
});

export const peopleRemoveTemplate: Verb = verb({
  name: "people remove-template",
  summary: "take one template out: a photo of somebody else, or a poor one",
  options: {},
  example: "porchlight people remove-template Ada 3f2a90c1",
  operands: { usage: "<name or id> <template>", min: 2, max: 2 },
  async run({ store, terminal, actor, operands: [who = "", prefix = ""] }) {
    const { gallery, append } = store();
    const person = findPerson(gallery, who);
    const own = gallery.templates(person.id);
    const found = own.filter(({ id }) => prefix.length >= PREFIX_MIN && id.startsWith(prefix));
    const [template] = found;
    if (template === undefined || found.length > 1) {
      const words = `${found.length === 0 ? "no template" : "several templates"} of this person`;
      throw new PorchlightError("template.unknown", `${words} begin with ${prefix}`, {
        exitCode: EXIT.notFound,
        hint: "see them: porchlight people show <name or id> --out sheet.jpg",
      });
    }
    // One that was embedded again goes with what it was made from.
    const removed = removalOf(template.of ?? template.id, own, actor);
    append(removed);
    const left = own.length - removed.length;
    const id = template.id.slice(0, SHORT_ID);
    terminal.data(
      { person: person.id, template: template.id, left },
      `removed ${id}; ${left} left`,
    );
    if (left === 0) terminal.note("nobody is recognised as this person now: porchlight enroll");
    return EXIT.ok;
  },
});

export const peopleRename: Verb = verb({
  name: "people rename",
  summary: "give a person another name",
  options: {},
  example: "porchlight people rename Ada 'Ada Lovelace'",
  operands: { usage: "<name or id> <new name>", min: 2, max: 2 },
  async run({ store, terminal, actor, operands }) {
    const [who = "", next = ""] = await askedNames(operands, terminal);
    const { gallery, append } = store();
    const name = checkedName(next);
    const { id } = findPerson(gallery, who);
    const others = gallery.people().filter((person) => person.id !== id);
    if (others.some((person) => nameKey(person.name) === nameKey(name))) {
      terminal.note(`somebody else is called ${name} too: tell them apart by id, people list`);
    }
    append([
      { type: "person.renamed", actor, subject: id, data: {}, personal: { profile: { name } } },
    ]);
    terminal.data({ id, name }, `${id.slice(0, 8)} is now ${name}`);
    return EXIT.ok;
  },
});

export const peopleRemove: Verb = verb({
  name: "people remove",
  summary: "erase a person: their keys are destroyed, which cannot be undone",
  options: { yes: flag("do not ask") },
  example: "porchlight people remove Ada --yes",
  operands: oneOperand("<name or id>"),
  async run({ store, terminal, actor, values, operands }) {
    const [who = ""] = await askedNames(operands, terminal);
    const { gallery, append, erasing, links } = store();
    const { id, name, templates } = findPerson(gallery, who);
    const visits = links.visitsOf(id).length;
    const question = `Erase ${name}, ${templates} templates and the pictures of ${visits} visits for good?`;
    if (!values.yes && !(await confirmed(terminal, question))) {
      terminal.note("nothing was erased");
      return EXIT.failed;
    }
    append([{ type: "person.erased", actor, subject: id, data: { reason: "requested" } }]);
    erasing.finish(REMOVE_WAIT_MS);
    if (!erasing.isGone(id)) throw unfinished(id, erasing.pending().includes(id));
    const words = `erased ${id.slice(0, 8)} and ${visits} visits: the keys are destroyed`;
    terminal.data({ id, erased: true, visits }, words);
    return EXIT.ok;
  },
});
