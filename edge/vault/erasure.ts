import { type KnownEntry, PERSONAL_CLASSES } from "../../shared/log/entry.ts";
import type { Keyring } from "./keyring.ts";
import type { Projection } from "./projection-runner.ts";

/** Where else the keys and rows of an erased subject may still lie. */
export interface Leftovers {
  /**
   * Backups of the vault. Removed before the erasure is committed, since it is not resumed after.
   */
  removeCopies(): void;
  /** Keys that were handed over to be sent, and are gone: taken back, here and where they went. */
  revoke(): void;
  /** The write-ahead log, once the last projection has deleted its rows; repeated at every start. */
  truncateWal(): void;
}

/** Follows `person.erased`: destroys the subject's keys, then every other copy of them. */
export function createErasure(keyring: Keyring, leftovers: Leftovers): Projection<KnownEntry> {
  let erasedSome = false;
  return {
    name: "erasure",
    apply(entry) {
      if (entry.type !== "person.erased" || entry.subject === null) return;
      leftovers.removeCopies();
      keyring.destroy(entry.subject, PERSONAL_CLASSES);
      keyring.markErased(entry.subject, entry.seq);
      erasedSome = true;
    },
    settle() {
      if (!erasedSome) return;
      leftovers.revoke();
      leftovers.truncateWal();
      erasedSome = false;
    },
  };
}
