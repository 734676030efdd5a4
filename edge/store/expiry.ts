/** Retention of pictures: what is sealed of a visit fades when its keys are destroyed. */
import { z } from "zod";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import type { PersonalClass } from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import type { Ages } from "../vault/ages.ts";

/** Days after which the pictures of a visit go. */
export interface ExpiryPolicy {
  /** Of visitors whom no decision and no enrolment has linked to anybody. */
  readonly strangers: PictureDays;
  readonly people: PictureDays;
}

export interface PictureDays {
  readonly crops: number;
  readonly snapshots: number;
}

export interface Expiry {
  /** One bounded step: of how many visits something went. */
  step(policy: ExpiryPolicy): number;
}

export interface ExpiryParts {
  readonly vault: Database;
  readonly ages: Pick<Ages, "olderThan">;
  readonly append: (drafts: readonly AnyDraft[]) => readonly Cursor[];
}

const DAY_MS = 86_400_000;
/** Visits of some days, in one transaction. */
const VISITS_MAX = 200;
const CLASSES = { crops: "biometric", snapshots: "media" } as const;

const subjectColumn = z.array(z.string());

export function createExpiry({ vault, ages, append }: ExpiryParts): Expiry {
  const select = vault
    .prepare(
      `SELECT k.subject FROM visit_ages a JOIN subject_keys k ON k.subject = a.visit
       JOIN visits v ON v.id = a.visit
       WHERE k.class = ? AND a.age <= ? AND v.ended_at IS NOT NULL
         AND EXISTS (SELECT 1 FROM visit_people p WHERE p.visit = a.visit) = ? LIMIT ${VISITS_MAX}`,
    )
    .pluck();
  return {
    step(policy) {
      const due = new Map<string, PersonalClass[]>();
      for (const [kind, days] of Object.entries(policy)) {
        for (const picture of ["crops", "snapshots"] as const) {
          const boundary = ages.olderThan(days[picture] * DAY_MS);
          if (boundary === null) continue;
          const of = CLASSES[picture];
          const rows = select.all(of, boundary.id, kind === "people" ? 1 : 0);
          for (const subject of subjectColumn.parse(rows)) {
            due.set(subject, [...(due.get(subject) ?? []), of]);
          }
        }
      }
      const drafts = [...due].slice(0, VISITS_MAX).map(([subject, classes]) => {
        const data = { classes, reason: "retention" } as const;
        return { type: "keys.destroyed", actor: "device", subject, data } as const;
      });
      if (drafts.length > 0) append(drafts);
      return drafts.length;
    },
  };
}
