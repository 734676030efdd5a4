import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import type { Gallery, Person } from "../vault/gallery.ts";
import { nameKey, spelled } from "./names.ts";

/** Shortest part of an id that is taken for one. */
const PREFIX_MIN = 4;

/** A person by name, by id, or by an unambiguous start of the id. Throws `person.unknown`. */
export function findPerson(gallery: Gallery, nameOrId: string): Person {
  const people = gallery.people();
  const exact = people.filter(({ name }) => name === spelled(nameOrId));
  const named =
    exact.length > 0 ? exact : people.filter(({ name }) => nameKey(name) === nameKey(nameOrId));
  const byId =
    nameOrId.length >= PREFIX_MIN ? people.filter(({ id }) => id.startsWith(nameOrId)) : [];
  const found = named.length > 0 ? named : byId;
  const [person] = found;
  if (person === undefined) {
    throw new PorchlightError("person.unknown", "no enrolled person has that name or id", {
      exitCode: EXIT.notFound,
      hint: "see the enrolled people: porchlight people list",
    });
  }
  if (found.length > 1) {
    const ids = found.map(({ id }) => id.slice(0, 8)).join(", ");
    throw new PorchlightError("person.ambiguous", `${found.length} people match: ${ids}`, {
      exitCode: EXIT.usage,
      hint: "say which by its id: porchlight people list",
    });
  }
  return person;
}
