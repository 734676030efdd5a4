/** The gallery: people and their templates, a projection of the log into the vault. */
import { z } from "zod";
import { PorchlightError } from "../../shared/core/errors.ts";
import { embeddingFromBytes } from "../../shared/log/embedding.ts";
import type { EntryOf, KnownEntry } from "../../shared/log/entry.ts";
import { openPersonal } from "../log/open-entry.ts";
import type { Template, TemplateGallery } from "../recognition/template.ts";
import {
  createTemplateIndex,
  type IndexedTemplate,
  type TemplateIndex,
} from "../recognition/template-index.ts";
import { type Database, dataVersion } from "../sqlite/database.ts";
import type { Keyring } from "./keyring.ts";
import type { Projection } from "./projection-runner.ts";

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly enrolledAtMs: number;
  readonly templates: number;
}

export interface Gallery extends Projection<KnownEntry>, TemplateGallery {
  people(): readonly Person[];
  person(id: string): Person | null;
  /** Names are not unique: two neighbours may share one. */
  named(name: string): readonly Person[];
}

const personRow = z
  .object({ id: z.string(), name: z.string(), enrolled_at: z.int(), templates: z.int() })
  .transform(({ enrolled_at, ...rest }): Person => ({ ...rest, enrolledAtMs: enrolled_at }));
const templateRow = z
  .object({
    uuid: z.string(),
    person: z.string(),
    pack: z.string(),
    quality: z.number(),
    width_px: z.number(),
    source: z.enum(["photo", "camera", "visit", "reembedding"]),
    photo: z.string().nullable(),
    of: z.string().nullable(),
    added_at: z.int(),
    seq: z.int(),
  })
  .transform(
    ({ uuid, width_px, added_at, ...rest }): Template => ({
      ...rest,
      id: uuid,
      widthPx: width_px,
      addedAtMs: added_at,
    }),
  );
const packRow = z.object({ id: z.int(), dimension: z.int() }).optional();
const vectorRow = z.object({
  template: z.string(),
  person: z.string(),
  embedding: z.instanceof(Buffer),
});

const FLOAT32_BYTES = 4;
const CHANGES_TEMPLATES = new Set<string>(["template.added", "template.removed", "person.erased"]);
const PEOPLE = `SELECT id, name, enrolled_at,
  (SELECT count(*) FROM templates WHERE person = people.id) AS templates FROM people`;
const TEMPLATES = `SELECT uuid, person, packs.name AS pack, quality, width_px, source, photo, of,
  added_at, seq FROM templates JOIN packs ON packs.id = templates.pack`;

export function createGallery(vault: Database, keyring: Pick<Keyring, "open">): Gallery {
  const indexes = cachedIndexes(vault);
  return {
    name: "gallery",
    apply(entry) {
      if (CHANGES_TEMPLATES.has(entry.type)) indexes.clear();
      applyToGallery(vault, keyring, entry);
    },
    reset() {
      indexes.clear();
      for (const { id } of z
        .array(z.object({ id: z.int() }))
        .parse(vault.prepare("SELECT id FROM packs").all())) {
        vault.exec(`DROP TABLE gallery_${id}`);
      }
      vault.exec("DELETE FROM templates; DELETE FROM packs; DELETE FROM people;");
    },
    people: () => z.array(personRow).parse(vault.prepare(`${PEOPLE} ORDER BY name, id`).all()),
    person(id) {
      const row = vault.prepare(`${PEOPLE} WHERE id = ?`).get(id);
      return row === undefined ? null : personRow.parse(row);
    },
    named: (name) => z.array(personRow).parse(vault.prepare(`${PEOPLE} WHERE name = ?`).all(name)),
    templates(person) {
      const where = person === undefined ? "" : "WHERE person = ?";
      const rows = vault.prepare(`${TEMPLATES} ${where} ORDER BY templates.id`);
      return z.array(templateRow).parse(person === undefined ? rows.all() : rows.all(person));
    },
    embeddings: (person, pack) =>
      new Map(
        vectorsOf(vault, pack)
          .filter((row) => row.person === person)
          .map(({ template, embedding }) => [template, embedding]),
      ),
    nearest: async (pack, probe, limit) => (await indexes.of(pack)?.nearest(probe, limit)) ?? [],
  };
}

function applyToGallery(vault: Database, keyring: Pick<Keyring, "open">, entry: KnownEntry): void {
  const { subject } = entry;
  if (subject === null) return;
  if (entry.type === "person.enrolled") {
    const personal = openPersonal(entry, keyring);
    if (personal === null) return;
    vault
      .prepare("INSERT OR IGNORE INTO people (id, name, enrolled_at) VALUES (?, ?, ?)")
      .run(subject, personal.profile.name, entry.at);
  } else if (entry.type === "person.renamed") {
    const personal = openPersonal(entry, keyring);
    if (personal === null) return;
    vault.prepare("UPDATE people SET name = ? WHERE id = ?").run(personal.profile.name, subject);
  } else if (entry.type === "template.added") {
    addTemplate(vault, keyring, entry, subject);
  } else if (entry.type === "template.removed") {
    removeTemplates(vault, "uuid = ? AND person = ?", [entry.data.template, subject]);
  } else if (entry.type === "person.erased") {
    removePerson(vault, subject);
  }
}

function addTemplate(
  vault: Database,
  keyring: Pick<Keyring, "open">,
  entry: EntryOf<"template.added">,
  subject: string,
): void {
  const personal = openPersonal(entry, keyring);
  if (personal === null) return;
  const { data } = entry;
  const embedding = Buffer.from(personal.biometric.embedding, "base64");
  if (embedding.length !== data.dimension * FLOAT32_BYTES) throw misfit(entry.seq);
  const pack = ensurePack(vault, entry);
  const inserted = vault
    .prepare(
      `INSERT OR IGNORE INTO templates
         (uuid, person, pack, quality, width_px, source, photo, of, added_at, seq)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      data.template,
      subject,
      pack,
      data.quality,
      data.widthPx,
      data.source,
      personal.biometric.photo,
      data.of,
      entry.at,
      entry.seq,
    );
  if (inserted.changes === 0) return;
  vault
    .prepare(`INSERT INTO gallery_${pack} (rowid, embedding) VALUES (?, ?)`)
    .run(BigInt(inserted.lastInsertRowid), embedding);
}

function misfit(seq: number): PorchlightError {
  return new PorchlightError("template.misfit", `the template of entry ${seq} has a wrong size`, {
    remedy: "reject",
    hint: "enrol the person anew with the pack in use: porchlight enroll <name> <photos>",
  });
}

function ensurePack(vault: Database, { data, seq }: EntryOf<"template.added">): number {
  const { pack: name, dimension } = data;
  const select = vault.prepare("SELECT id, dimension FROM packs WHERE name = ?");
  const known = packRow.parse(select.get(name));
  if (known !== undefined) {
    if (known.dimension !== dimension) throw misfit(seq);
    return known.id;
  }
  const insert = vault.prepare("INSERT INTO packs (name, dimension) VALUES (?, ?)");
  const id = Number(insert.run(name, dimension).lastInsertRowid);
  // Undoing the migration that made `packs` leaves its vectors: SQL alone cannot name them.
  vault.exec(`DROP TABLE IF EXISTS gallery_${id}`);
  vault.exec(
    `CREATE VIRTUAL TABLE gallery_${id} USING vec0(
       embedding float[${dimension}] distance_metric=cosine)`,
  );
  return id;
}

function removePerson(vault: Database, person: string): void {
  removeTemplates(vault, "person = ?", [person]);
  vault.prepare("DELETE FROM people WHERE id = ?").run(person);
}

function removeTemplates(vault: Database, where: string, values: readonly string[]): void {
  const rows = vault.prepare(`SELECT id, pack FROM templates WHERE ${where}`).all(...values);
  for (const { id, pack } of z.array(z.object({ id: z.int(), pack: z.int() })).parse(rows)) {
    vault.prepare(`DELETE FROM gallery_${pack} WHERE rowid = ?`).run(BigInt(id));
  }
  vault.prepare(`DELETE FROM templates WHERE ${where}`).run(...values);
}

/** The templates of a pack with their vectors. */
function vectorsOf(vault: Database, pack: string): readonly IndexedTemplate[] {
  const known = packRow.parse(
    vault.prepare("SELECT id, dimension FROM packs WHERE name = ?").get(pack),
  );
  if (known === undefined) return [];
  const rows = vault.prepare(
    `SELECT templates.uuid AS template, person, embedding
     FROM gallery_${known.id} JOIN templates ON templates.id = gallery_${known.id}.rowid`,
  );
  return z
    .array(vectorRow)
    .parse(rows.all())
    .map((row): IndexedTemplate => ({ ...row, embedding: embeddingFromBytes(row.embedding) }));
}

/** One index a pack, read again when this or another process has changed the vault. */
function cachedIndexes(vault: Database) {
  const indexes = new Map<string, TemplateIndex | null>();
  let version = dataVersion(vault);
  const load = (pack: string): TemplateIndex | null => {
    const known = packRow.parse(
      vault.prepare("SELECT id, dimension FROM packs WHERE name = ?").get(pack),
    );
    if (known === undefined) return null;
    return createTemplateIndex(vectorsOf(vault, pack), known.dimension);
  };
  return {
    clear: () => indexes.clear(),
    of(pack: string): TemplateIndex | null {
      const now = dataVersion(vault);
      if (now !== version) indexes.clear();
      version = now;
      let index = indexes.get(pack);
      if (index === undefined) {
        index = load(pack);
        indexes.set(pack, index);
      }
      return index;
    },
  };
}
