/**
 * Follows `person.erased` in every log: its device's keys of that subject are destroyed for good, and
 * with a person those of every visit that the device has linked to them, also when the device never
 * gets to say so itself.
 */
import { z } from "zod";
import type { Keyring, SubjectOfDevice, VisitLink } from "../../keyring/keyring.ts";
import type { Projection } from "../projection.ts";
import { pendingOf } from "../support/bisect.ts";
import { type Body, decodeEntries, type Projected } from "../support/decode-entries.ts";
import type { DevicesOf } from "../support/device-of-log.ts";

export interface KeyErasureOptions {
  readonly keyring: Pick<Keyring, "erase" | "link">;
  readonly devicesOf: DevicesOf;
}

interface Change {
  readonly position: bigint;
  readonly erased: SubjectOfDevice | null;
  readonly linked: VisitLink | null;
}

const uuid = z.uuid().lowercase();
const linkedSchema = z.object({ visit: uuid, person: uuid });
const decidedSchema = z.object({ visit: uuid, decision: z.object({ person: uuid.nullable() }) });

export function createKeyErasure({ keyring, devicesOf }: KeyErasureOptions): Projection {
  return {
    name: "key-erasure",
    types: ["person.erased", "visit.linked", "visit.recognised"],
    // The keyring's tables are no projection: they came apart from the log.
    schema: null,
    version: async () => 1,
    tables: async () => "",
    prepare: async (batch) =>
      pendingOf(await decodeEntries(batch, devicesOf, changeOf), async (connection, _, changes) => {
        const links = changes.flatMap(({ linked }) => (linked === null ? [] : [linked]));
        const subjects = changes.flatMap(({ erased }) => (erased === null ? [] : [erased]));
        if (links.length > 0) await keyring.link(connection, links);
        if (subjects.length > 0) await keyring.erase(connection, subjects);
      }),
  };
}

function changeOf({ entry, device }: Projected, body: Body | null): Change | null {
  const { type, subject, position } = entry;
  if (type === "person.erased") {
    return subject === null ? null : { position, erased: { device, subject }, linked: null };
  }
  if (body === null) return null;
  const link = type === "visit.linked" ? linkedSchema.parse(body.data) : decisionOf(body);
  return link === null ? null : { position, erased: null, linked: { device, ...link } };
}

/** Any decision counts, not the last alone: what was kept for it may show whom it names. */
function decisionOf({ data }: Body): Omit<VisitLink, "device"> | null {
  const { visit, decision } = decidedSchema.parse(data);
  return decision.person === null ? null : { visit, person: decision.person };
}
