/** Which crops of faces there are: a projection of the log into the vault, and the files go with it. */
import { z } from "zod";
import type { KnownEntry } from "../../shared/log/entry.ts";
import {
  createObjectRows,
  type ObjectParts,
  type ObjectPlace,
  type ObjectRows,
} from "./objects.ts";
import type { Projection } from "./projection-runner.ts";

export interface Crops extends Projection<KnownEntry>, Pick<ObjectRows, "isKnown"> {
  /** Of the visit's last decision, best first. */
  ofVisit(visit: string): readonly ObjectPlace[];
  ofTemplate(template: string): ObjectPlace | null;
  /** As they lie on the disk: those of visits, and those of everybody who is enrolled. */
  bytes(): { readonly visits: number; readonly templates: number };
}

const placeRows = z.array(
  z.object({ id: z.string(), sha256: z.string(), log: z.string(), seq: z.int() }),
);
const sumRow = z.object({ visits: z.number(), templates: z.number() });

export function createCrops(parts: ObjectParts): Crops {
  const { vault } = parts;
  const table = { table: "crops", sheds: "crop.captured", class: "biometric" } as const;
  const rows = createObjectRows(parts, table);
  const select = (where: string, of: string) =>
    placeRows.parse(
      vault.prepare(`SELECT id, sha256, log, seq FROM crops WHERE ${where} ORDER BY seq`).all(of),
    );
  return {
    name: "crops",
    isKnown: rows.isKnown,
    apply(entry) {
      const { type } = entry;
      if (type === "template.removed") rows.remove("template = ?", entry.data.template);
      if (type !== "crop.captured" && type !== "crop.enrolled") return rows.follow(entry);
      const { data, subject, log, seq } = entry;
      const [visit, template, revision] =
        type === "crop.captured"
          ? [entry.data.visit, null, entry.data.revision]
          : [null, entry.data.template, 0];
      // A later decision has better ones.
      rows.remove("visit = ? AND revision < ?", visit, revision);
      vault
        .prepare("INSERT OR IGNORE INTO crops VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .run(data.crop, visit, template, subject, revision, data.sha256, data.bytes, log, seq);
    },
    reset: () => void vault.exec("DELETE FROM crops"),
    ofVisit: (visit) => select("visit = ?", visit),
    ofTemplate: (template) => select("template = ?", template)[0] ?? null,
    bytes: () =>
      sumRow.parse(
        vault
          .prepare(
            `SELECT total(bytes) FILTER (WHERE visit IS NOT NULL) AS visits,
               total(bytes) FILTER (WHERE visit IS NULL) AS templates FROM crops`,
          )
          .get(),
      ),
  };
}
