/**
 * What is left of an erasure once the keys are out of the vault: copies of both files, what was
 * handed over to be sent, and the write-ahead logs. Begun in the process that erases, and gone on
 * with by every process that opens the store, and by each housekeeping round, until nothing is left.
 */
import { systemCodeOf } from "../../shared/core/errors.ts";
import { isDiskFull } from "../host/disk-full.ts";
import type { KeyOutbox } from "../log/key-outbox.ts";
import type { LiveOutbox } from "../log/live-outbox.ts";
import { type Database, truncateWal } from "../sqlite/database.ts";
import { storeFailure } from "../sqlite/failure.ts";
import { removeBackups } from "../sqlite/migrate.ts";
import type { SubjectEraser } from "../vault/erasure.ts";
import type { Keyring } from "../vault/keyring.ts";
import type { Links } from "../vault/links.ts";

export interface Erasing {
  /** Subjects of whom something may be left. */
  pending(): readonly string[];
  /** Removes what is left, and waits so long for others that read a file. Whether all is gone. */
  finish(waitMs: number): boolean;
  /** Whether nothing of this person and of their visits can be opened any more, as read back. */
  isGone(person: string): boolean;
}

export interface ErasingParts {
  readonly log: Database;
  readonly vault: Database;
  readonly logPath: string;
  readonly vaultPath: string;
  readonly eraser: SubjectEraser;
  readonly links: Pick<Links, "visitsOf">;
  readonly keyring: Pick<Keyring, "export" | "holds">;
  readonly live: Pick<LiveOutbox, "removeAbout">;
  readonly released: Pick<KeyOutbox, "all" | "revoke">;
}

export function createErasing(parts: ErasingParts): Erasing {
  const { eraser, links, keyring, live } = parts;
  const finish = (waitMs: number): boolean => {
    const subjects = eraser.pending();
    if (subjects.length === 0) return true;
    removeBackups(parts.vaultPath);
    removeBackups(parts.logPath);
    revokeDestroyed(parts);
    live.removeAbout(subjects);
    // Both, whatever the first one says: each has something to lose.
    const truncated = [parts.log, parts.vault].map((file) => truncateWal(file, waitMs));
    if (truncated.includes(false)) return false;
    eraser.settle(subjects);
    truncateWal(parts.vault, waitMs);
    return true;
  };
  return {
    pending: eraser.pending,
    finish(waitMs) {
      try {
        return finish(waitMs);
      } catch (error) {
        // The row stands: somebody comes back to it.
        const later = isDiskFull(error) || storeFailure(error)?.remedy === "retry";
        if (!later && systemCodeOf(error) !== "EROFS") throw error;
        return false;
      }
    },
    isGone(person) {
      const subjects = [person, ...links.visitsOf(person)];
      const left = new Set(eraser.pending());
      return subjects.every((subject) => {
        return eraser.isErased(subject) && !keyring.holds(subject) && !left.has(subject);
      });
    },
  };
}

/** Keys that were handed over, and are not in the vault any more. */
function revokeDestroyed({ released, keyring }: Pick<ErasingParts, "released" | "keyring">): void {
  const gone = released
    .all()
    .filter(
      ({ site, subject, class: of }) => site !== null && keyring.export(subject, of) === null,
    );
  if (gone.length > 0) released.revoke(gone);
}
