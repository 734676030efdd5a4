import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import type { Store } from "./open-store.ts";

/** Appends, or drops the entries when the disk and its reserve are full. */
export function appendOrDropOnFullDisk(
  { store, logger }: { readonly store: Pick<Store, "append">; readonly logger: Logger },
  what: "telemetry" | "fact",
) {
  return (drafts: readonly AnyDraft[]): readonly Cursor[] => {
    try {
      return store.append(drafts);
    } catch (error) {
      if (!(error instanceof PorchlightError) || error.code !== "disk.full") throw error;
      const { hint, message } = error;
      // Telemetry may be missing, which is logged once; all else needs attention.
      if (what === "telemetry") logger.debug("telemetry not written", { reason: message });
      else
        logger.error("entry not written: disk full", {
          type: drafts[0]?.type,
          reason: message,
          hint,
        });
      return [];
    }
  };
}
