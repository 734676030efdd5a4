import { type KnownEntry, PERSONAL_CLASSES } from "../../shared/entry.ts";
import type { Keyring } from "./keyring.ts";
import type { Projection } from "./projection.ts";

/** Follows `person.erased`: destroys the subject's keys, then every other copy of them. */
export function createErasure(
  keyring: Keyring,
  destroyLeftovers: () => void,
): Projection<KnownEntry> {
  let erasedSome = false;
  return {
    name: "erasure",
    apply(entry) {
      if (entry.type !== "person.erased" || entry.subject === null) return;
      keyring.destroy(entry.subject, PERSONAL_CLASSES);
      keyring.markErased(entry.subject, entry.seq);
      erasedSome = true;
    },
    settle() {
      if (!erasedSome) return;
      destroyLeftovers();
      erasedSome = false;
    },
  };
}
