/**
 * Live notifications: what is sent at once of an entry, and no more than the owner has released.
 */

import { plainLine } from "../../shared/core/printable.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import {
  type Channel,
  encodeMessage,
  ringSchema,
  type Visitor,
  visitorSchema,
} from "../../shared/protocol/wire.ts";

export interface LiveMessage {
  readonly channel: Extract<Channel, "ring" | "visitor">;
  readonly payload: string;
}

/** The place of the entry, and its time. */
export interface LivePlace {
  readonly log: string;
  readonly seq: number;
  readonly at: number;
}

/** The notification of an entry, or null for types that have none. */
export type Announce = (draft: AnyDraft, place: LivePlace) => LiveMessage | null;

/** The outbox's limit: a minute of presses and visits. Beyond it the oldest are dropped. */
export const LIVE_OUTBOX_MAX = 100;

/** Characters, as wire.ts has them. */
const BUTTON_MAX = 64;
const NAME_MAX = 200;

export interface LivePolicy {
  /** The name of a person, where the owner has released names; else always null. */
  readonly nameOf: (person: string) => string | null;
}

export function createLiveNotifier({ nameOf }: LivePolicy): Announce {
  return (draft, place) => {
    switch (draft.type) {
      case "button.pressed": {
        const message = {
          ...place,
          type: draft.type,
          button: plainLine(draft.data.button, BUTTON_MAX),
        };
        return { channel: "ring", payload: encodeMessage(ringSchema, message).toString("utf8") };
      }
      case "visit.started":
        return visitor({ ...seen(place, draft.data.visit), type: draft.type, kind: "started" });
      case "visit.recognised": {
        const { outcome, person, score } = draft.data.decision;
        const name = person === null ? null : nameOf(person);
        return visitor({
          ...seen(place, draft.data.visit),
          type: draft.type,
          kind: "recognised",
          outcome,
          person,
          score,
          ...(name !== null && { name: plainLine(name, NAME_MAX) }),
        });
      }
      case "visit.ended": {
        const { visit, outcome } = draft.data;
        return visitor({ ...seen(place, visit), type: draft.type, kind: "ended", outcome });
      }
      default:
        return null;
    }
  };
}

/** A visit of which nothing else is said. */
function seen(place: LivePlace, visit: string) {
  return { ...place, visit, outcome: null, person: null, score: null };
}

function visitor(message: Visitor): LiveMessage {
  return { channel: "visitor", payload: encodeMessage(visitorSchema, message).toString("utf8") };
}
