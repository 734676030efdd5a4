/** Links of visits to people, a projection of the log: what was kept of a visit may show them. */
import { z } from "zod";
import type { KnownEntry } from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import type { SubjectEraser } from "./erasure.ts";
import type { Projection } from "./projection-runner.ts";

export interface Links extends Projection<KnownEntry> {
  /** Every visit that any decision or enrolment has linked to this person. */
  visitsOf(person: string): readonly string[];
}

const visitColumn = z.array(z.string());

/** A visit that is linked to somebody who is erased already is erased at once. */
export function createLinks(
  vault: Database,
  { isErased, erase }: Pick<SubjectEraser, "isErased" | "erase">,
): Links {
  const insert = vault.prepare("INSERT OR IGNORE INTO visit_people (visit, person) VALUES (?, ?)");
  const select = vault.prepare("SELECT visit FROM visit_people WHERE person = ?").pluck();
  return {
    name: "links",
    apply(entry) {
      const link = linkOf(entry);
      if (link === null) return;
      insert.run(link.visit, link.person);
      if (isErased(link.person) && !isErased(link.visit)) erase(link.visit, entry.seq);
    },
    reset: () => void vault.exec("DELETE FROM visit_people"),
    visitsOf: (person) => visitColumn.parse(select.all(person)),
  };
}

/** Any revision counts, not the last alone: each has kept crops of whom it names. */
function linkOf(entry: KnownEntry): { readonly visit: string; readonly person: string } | null {
  if (entry.type === "visit.linked") return entry.data;
  if (entry.type !== "visit.recognised") return null;
  const { visit, decision } = entry.data;
  return decision.person === null ? null : { visit, person: decision.person };
}
