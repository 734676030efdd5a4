/** What is in force: the last entry of each type that is about the device itself. */
import { z } from "zod";
import {
  ENTRY_DATA,
  type EntryData,
  type EntryType,
  type KnownEntry,
} from "../../shared/log/entry.ts";
import type { Database } from "../sqlite/database.ts";
import type { Projection } from "./projection-runner.ts";

export interface Latest extends Projection<KnownEntry> {
  of<T extends EntryType>(type: T): { readonly atMs: number; readonly data: EntryData<T> } | null;
}

const row = z.object({ at: z.int(), data: z.string() }).optional();

export function createLatest(vault: Database): Latest {
  return {
    name: "latest",
    apply({ type, at, data, subject }) {
      if (subject !== null) return;
      vault
        .prepare(
          `INSERT INTO latest (type, at, data) VALUES (?, ?, ?)
           ON CONFLICT (type) DO UPDATE SET at = excluded.at, data = excluded.data`,
        )
        .run(type, at, JSON.stringify(data));
    },
    reset: () => void vault.exec("DELETE FROM latest"),
    of<T extends EntryType>(type: T) {
      const found = row.parse(
        vault.prepare("SELECT at, data FROM latest WHERE type = ?").get(type),
      );
      if (found === undefined) return null;
      // The schema of `type` gives EntryData<T>; TypeScript cannot follow the index.
      const data = ENTRY_DATA[type].parse(JSON.parse(found.data)) as EntryData<T>;
      return { atMs: found.at, data };
    },
  };
}
