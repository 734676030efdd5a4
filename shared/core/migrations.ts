/** What migrations are, whatever database they change: numbered, checked, never edited. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { invariant, PorchlightError } from "./errors.ts";

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
  readonly sha256: string;
  /** Older code must not run once this one is applied: first line `--! breaking`. */
  readonly breaking: boolean;
}

/** A migration that a database says it has had. */
export const appliedSchema = z.object({
  number: z.int(),
  name: z.string(),
  sha256: z.string(),
  breaking: z.union([z.boolean(), z.int().transform((flag) => flag !== 0)]),
});
export type AppliedMigration = z.infer<typeof appliedSchema>;

const FILE_NAME = /^(\d{4})-([a-z0-9-]+)\.sql$/;

/** Migrations from the files of a folder: `0001-name.sql` with `0001-name.down.sql` beside it. */
export function parseMigrations(files: ReadonlyMap<string, string>): readonly Migration[] {
  const migrations = [...files.keys()]
    .filter((file) => !file.endsWith(".down.sql"))
    .sort()
    .map((file): Migration => {
      const [, digits = "", name = ""] = FILE_NAME.exec(file) ?? [];
      invariant(digits !== "", `${file} is named NNNN-what-it-does.sql`);
      const up = files.get(file);
      const down = files.get(file.replace(/\.sql$/, ".down.sql"));
      invariant(up !== undefined && down !== undefined, `${file} has a .down.sql beside it`);
      const sha256 = createHash("sha256").update(up).digest("hex");
      const breaking = up.startsWith("--! breaking");
      return { number: Number(digits), name, up, down, sha256, breaking };
    });
  migrations.forEach(({ number, name }, i) => {
    invariant(number === i + 1, `migration ${name} continues the numbering`);
  });
  return migrations;
}

/** Where migrations were applied, and what to type when this program must not run there. */
export interface MigratedPlace {
  readonly place: string;
  readonly program: string;
  /** A way back to what was there before a newer program came. */
  readonly wayBack: string;
}

/** Throws `store.schema.newer` or `store.schema.changed` when this program must not run there. */
export function ensureRunnable(
  applied: readonly AppliedMigration[],
  known: readonly Migration[],
  { place, program, wayBack }: MigratedPlace,
): void {
  for (const { number, name, sha256, breaking } of applied) {
    const migration = known[number - 1];
    if (migration === undefined) {
      if (!breaking) continue;
      throw new PorchlightError(
        "store.schema.newer",
        `${place} was changed by a newer ${program} (migration ${number}, ${name})`,
        { hint: `install that version again, or ${wayBack}` },
      );
    }
    if (migration.sha256 !== sha256) {
      throw new PorchlightError(
        "store.schema.changed",
        `migration ${number} (${name}) of ${place} is not the one this program has`,
        { hint: `reinstall ${program}: a released migration never changes` },
      );
    }
  }
}
