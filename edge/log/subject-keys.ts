import type { PersonalClass } from "../../shared/log/entry.ts";
import type { SealPlace } from "../../shared/log/seal.ts";

/** The keys that personal content of an entry is sealed with; the vault's keyring is the one there is. */
export interface SubjectKeys {
  /** Makes the missing keys of a subject durable, before an entry is sealed with them. */
  ensure(subject: string, classes: readonly PersonalClass[]): void;
  seal(place: SealPlace, plain: Uint8Array): string;
  /** The plain bytes, or null when the key was destroyed. Throws `seal.broken` if tampered with. */
  open(place: SealPlace, sealed: string): Buffer | null;
}
