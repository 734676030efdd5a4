import { invariant } from "../../shared/core/errors.ts";
import {
  ENTRY_PERSONAL,
  type Entry,
  type EntryPersonal,
  type PersonalClass,
  type PersonalType,
} from "../../shared/log/entry.ts";
import type { SubjectKeys } from "./subject-keys.ts";

/**
 * The personal content of an entry, or null when the key of one of its classes was destroyed.
 * Throws `seal.broken` when the sealed bytes are not what was sealed.
 */
export function openPersonal<T extends PersonalType>(
  entry: Omit<Entry, "type" | "data"> & { readonly type: T },
  keyring: Pick<SubjectKeys, "open">,
): EntryPersonal<T> | null {
  const { sealed, subject, log, seq, type } = entry;
  if (sealed === null) return null;
  invariant(subject !== null, "sealed content is about a subject");
  const content: Partial<Record<PersonalClass, unknown>> = {};
  for (const [name, bytes] of Object.entries(sealed)) {
    const personalClass = name as PersonalClass; // entrySchema has checked the keys of `sealed`
    const plain = keyring.open({ log, seq, type, subject, class: personalClass }, bytes);
    if (plain === null) return null;
    content[personalClass] = JSON.parse(plain.toString("utf8"));
  }
  // The schema of `type` gives exactly EntryPersonal<T>; TypeScript cannot follow the index.
  return ENTRY_PERSONAL[type].parse(content) as EntryPersonal<T>;
}
