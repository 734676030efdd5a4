import { randomBytes } from "node:crypto";
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { PERSONAL_CLASSES, type PersonalClass } from "../../shared/log/entry.ts";
import { SUBJECT_KEY_BYTES, seal, unseal } from "../../shared/log/seal.ts";
import type { SubjectKeys } from "../log/subject-keys.ts";
import type { Database } from "../sqlite/database.ts";

/** Seals and opens personal content. Lives in the vault; who has only the log key has none. */
export interface Keyring extends SubjectKeys {
  /** Destroys a subject's keys, all or those of some classes. Called by the erasure projection. */
  destroy(subject: string, classes: readonly PersonalClass[]): void;
  /** Marks a subject as erased: it never gets a key again. */
  markErased(subject: string, seq: number): void;
  isErased(subject: string): boolean;
  /** Whether it has a key of any class. */
  holds(subject: string): boolean;
  /** Which keys of these classes there are. */
  names(classes: readonly PersonalClass[]): readonly KeyPlace[];
  /** Changes whenever keys were made or destroyed here. */
  changes(): number;
  /** A key itself, to be wrapped for whom the owner has released it; null when it is gone. */
  export(subject: string, personalClass: PersonalClass): Buffer | null;
}

export interface KeyPlace {
  readonly subject: string;
  readonly class: PersonalClass;
}

const nameRows = z.array(z.object({ subject: z.string(), class: z.enum(PERSONAL_CLASSES) }));
const keyRow = z.object({ key: z.instanceof(Buffer) }).optional();

export function createKeyring(vault: Database): Keyring {
  const insert = vault.prepare("INSERT OR IGNORE INTO subject_keys VALUES (?, ?, ?)");
  const select = vault.prepare("SELECT key FROM subject_keys WHERE subject = ? AND class = ?");
  const remove = vault.prepare("DELETE FROM subject_keys WHERE subject = ? AND class = ?");
  const erase = vault.prepare("INSERT OR IGNORE INTO erased_subjects VALUES (?, ?)");
  const erased = vault.prepare("SELECT 1 FROM erased_subjects WHERE subject = ?");
  const names = vault.prepare("SELECT subject, class FROM subject_keys WHERE class = ?");
  const any = vault.prepare("SELECT 1 FROM subject_keys WHERE subject = ? LIMIT 1");
  const keyOf = (subject: string, personalClass: PersonalClass): Buffer | undefined =>
    keyRow.parse(select.get(subject, personalClass))?.key;
  let changes = 0;
  const isErased = (subject: string): boolean => erased.get(subject) !== undefined;

  return {
    ensure(subject, classes) {
      if (isErased(subject)) throw erasedSubject();
      if (classes.every((each) => keyOf(subject, each) !== undefined)) return;
      vault
        .transaction(() => {
          for (const each of classes) insert.run(subject, each, randomBytes(SUBJECT_KEY_BYTES));
        })
        .immediate();
      changes++;
    },
    seal(place, plain) {
      const key = keyOf(place.subject, place.class);
      if (key === undefined) throw erasedSubject();
      return seal(key, place, plain);
    },
    open(place, sealed) {
      const key = keyOf(place.subject, place.class);
      return key === undefined ? null : unseal(key, place, sealed);
    },
    destroy(subject, classes) {
      for (const each of classes) remove.run(subject, each);
      changes++;
    },
    markErased: (subject, seq) => void erase.run(subject, seq),
    isErased,
    holds: (subject) => any.get(subject) !== undefined,
    names: (classes) => classes.flatMap((each) => nameRows.parse(names.all(each))),
    changes: () => changes,
    export: (subject, personalClass) => keyOf(subject, personalClass) ?? null,
  };
}

function erasedSubject(): PorchlightError {
  return new PorchlightError(
    "subject.erased",
    "this person was erased: their keys are destroyed, so no entry about them can be sealed",
    {
      remedy: "reject",
      hint: "enrol them anew: porchlight enroll <name> <photos>",
    },
  );
}
