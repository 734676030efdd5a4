/**
 * Erasure, a projection of `person.erased`, and of `keys.destroyed` for single classes of a subject.
 * Keys are destroyed together with a durable row that says so: it stays until no copy of them and
 * nothing that was handed over is left anywhere else.
 */
import { z } from "zod";
import { type KnownEntry, PERSONAL_CLASSES, type PersonalClass } from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import type { Keyring } from "./keyring.ts";
import type { Links } from "./links.ts";
import type { Projection } from "./projection-runner.ts";

export interface SubjectEraser {
  isErased(subject: string): boolean;
  /** Destroys all keys of a subject, for good. */
  erase(subject: string, seq: number): void;
  /** Destroys keys of some classes; what is sealed later gets new ones. */
  destroy(subject: string, classes: readonly PersonalClass[]): void;
  /** Whose keys may still lie elsewhere. */
  pending(): readonly string[];
  /** These are gone everywhere. */
  settle(subjects: readonly string[]): void;
}

const subjectColumn = z.array(z.string());

export function createSubjectEraser(
  vault: Database,
  keyring: Pick<Keyring, "destroy" | "markErased" | "isErased">,
): SubjectEraser {
  const insert = vault.prepare("INSERT OR IGNORE INTO erasing VALUES (?)");
  const select = vault.prepare("SELECT subject FROM erasing ORDER BY subject").pluck();
  const remove = vault.prepare("DELETE FROM erasing WHERE subject = ?");
  const destroy = (subject: string, classes: readonly PersonalClass[]): void => {
    keyring.destroy(subject, classes);
    insert.run(subject);
  };
  return {
    isErased: keyring.isErased,
    erase(subject, seq) {
      destroy(subject, PERSONAL_CLASSES);
      keyring.markErased(subject, seq);
    },
    destroy,
    pending: () => subjectColumn.parse(select.all()),
    settle: vault.transaction((subjects: readonly string[]) => {
      for (const subject of subjects) remove.run(subject);
    }),
  };
}

export interface ErasureParts {
  readonly eraser: SubjectEraser;
  readonly links: Pick<Links, "visitsOf">;
  /** Once what was destroyed is committed: looks for what is left of it elsewhere. */
  readonly finish: () => void;
}

export function createErasure({ eraser, links, finish }: ErasureParts): Projection<KnownEntry> {
  let erasedSome = false;
  return {
    name: "erasure",
    apply(entry) {
      if (entry.subject === null) return;
      if (entry.type === "person.erased") {
        for (const subject of [entry.subject, ...links.visitsOf(entry.subject)]) {
          eraser.erase(subject, entry.seq);
        }
      } else if (entry.type === "keys.destroyed") {
        eraser.destroy(entry.subject, entry.data.classes);
      } else return;
      erasedSome = true;
    },
    settle() {
      if (!erasedSome) return;
      erasedSome = false;
      finish();
    },
  };
}
