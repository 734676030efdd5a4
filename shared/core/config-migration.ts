/**
 * Reads configurations of earlier versions: keys that were renamed are found under their old names,
 * in the file as in the environment. Reading changes no file; `config migrate` does, and keeps what
 * was there as `<file>.before-<version>`.
 */
import { type Document, isMap, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";

export interface ConfigMigration {
  /** The version it leads to, from the one before. */
  readonly to: number;
  /** Dotted paths: how a key was called, and how it is now. */
  readonly renamed: Readonly<Record<string, string>>;
}

export interface Migrated {
  /** What the file said, or 1: before there were versions. */
  readonly from: number;
  /** What was renamed in it, as "old → new". */
  readonly renamed: readonly string[];
}

/**
 * Brings a document to the newest version, in memory, with its comments. A key that is there under
 * both names keeps the new one. Gives null where the document says of no version that is known.
 */
export function migrateDocument(
  document: Document,
  migrations: readonly ConfigMigration[],
  newest: number,
): Migrated | null {
  const from = versionOf(document);
  if (from === null || from > newest) return null;
  if (from === newest) return { from, renamed: [] };
  const renamed = migrations
    .filter(({ to }) => to > from)
    .flatMap((migration) => Object.entries(migration.renamed))
    .filter(([old, now]) => renameKey(document, old.split("."), now.split(".")))
    .map(([old, now]) => `${old} → ${now}`);
  if (isMap(document.contents)) setVersion(document, document.contents, newest);
  return { from, renamed };
}

/**
 * The text of a configuration as the newest version has it; null where there is nothing to change.
 * Throws what YAML says of a text that is none.
 */
export function migrateText(
  text: string,
  migrations: readonly ConfigMigration[],
  newest: number,
): (Migrated & { readonly text: string }) | null {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) throw error;
  const found = migrateDocument(document, migrations, newest);
  if (found === null || found.from === newest || !isMap(document.contents)) return null;
  return { ...found, text: document.toString() };
}

/** How a key is called now that was called so in some version. */
export function renamedKeys(migrations: readonly ConfigMigration[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { renamed } of migrations) {
    for (const [old, now] of Object.entries(renamed)) {
      for (const [earlier, later] of names) if (later === old) names.set(earlier, now);
      names.set(old, now);
    }
  }
  return names;
}

/** A whole number from 1 on; null for anything else that stands there. */
function versionOf(document: Document): number | null {
  const value = isMap(document.contents) ? document.contents.get("version") : undefined;
  if (value === undefined) return 1;
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : null;
}

function setVersion(document: Document, contents: YAMLMap, version: number): void {
  if (contents.has("version")) contents.set("version", version);
  else contents.items.unshift(document.createPair("version", version) as Pair<never, never>); // of a key and a number
}

function renameKey(document: Document, old: readonly string[], now: readonly string[]): boolean {
  const holder = mapAt(document, old.slice(0, -1));
  const name = old.at(-1);
  const pair = holder?.items.find(({ key }) => isScalar(key) && key.value === name);
  if (holder === null || pair === undefined) return false;
  if (document.hasIn(now)) holder.delete(name);
  else if (now.slice(0, -1).join(".") === old.slice(0, -1).join(".")) {
    // In its place, with its comments.
    if (isScalar(pair.key)) pair.key.value = now.at(-1);
  } else {
    holder.delete(name);
    document.setIn(now, pair.value);
  }
  return true;
}

function mapAt(document: Document, path: readonly string[]): YAMLMap | null {
  const node = path.length === 0 ? document.contents : document.getIn(path);
  return isMap(node) ? node : null;
}
