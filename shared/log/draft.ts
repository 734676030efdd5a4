import type { EntryData, EntryPersonal, EntryType } from "./entry.ts";

/** A fact about to be appended; the log adds its place, time and hash. */
export interface Draft<T extends EntryType = EntryType> {
  readonly type: T;
  readonly actor: string;
  readonly data: EntryData<T>;
  readonly subject?: string | null;
  /** Content to be sealed under the subject's keys, by class. */
  readonly personal?: EntryPersonal<T>;
}
export type AnyDraft = { [T in EntryType]: Draft<T> }[EntryType];
