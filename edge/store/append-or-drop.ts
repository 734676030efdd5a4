import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import { explained } from "../sqlite/failure.ts";
import type { Store } from "./open-store.ts";

/** Appends what may be missing: where the store cannot take it now, it is dropped. */
export function appendOrDrop(
  { store, logger }: { readonly store: Pick<Store, "append">; readonly logger: Logger },
  what: "telemetry" | "snapshot",
) {
  return (drafts: readonly AnyDraft[]): readonly Cursor[] => {
    try {
      return store.append(drafts);
    } catch (thrown) {
      const error = explained(thrown);
      if (!(error instanceof PorchlightError) || error.remedy !== "retry") throw thrown;
      const { code, message, hint } = error;
      // Of telemetry there is more in a minute; a picture is gone.
      logger[what === "telemetry" ? "debug" : "warn"](`${what} not written`, {
        code,
        reason: message,
        hint,
      });
      return [];
    }
  };
}
