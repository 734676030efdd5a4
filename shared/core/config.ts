/** Reads a YAML configuration against a schema, and says everything that is wrong with it at once. */
import { type Document, isCollection, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { type ConfigMigration, type Migrated, migrateDocument } from "./config-migration.ts";
import { discriminators, type Path, schemaAt, shapeAt } from "./config-schema.ts";
import { isSecret, type Override, readVariables, withoutContent } from "./config-variables.ts";
import { EXIT, messageOf, PorchlightError } from "./errors.ts";
import { didYouMean } from "./near-miss.ts";

export interface ConfigSource {
  /** Shown in messages. */
  readonly file: string;
  readonly text: string;
  /** Variables that override single values: PREFIX_SECTION_KEY, of a secret also …_FILE. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly prefix: string;
  /** The content of a file that a …_FILE names. */
  readonly readFile?: ((path: string) => string) | undefined;
  /** Variables with the prefix that are not settings; one that ends in _ stands for all of them. */
  readonly reserved: readonly string[];
  /** The program whose `config schema` shows every setting. */
  readonly program: string;
  /** How configurations of earlier versions are read; absent where there are no versions. */
  readonly migrations?: Migrations;
  /** Called where keys were found under the names of an earlier version. */
  readonly migrated?: ((found: Migrated) => void) | undefined;
}

export interface Migrations {
  readonly steps: readonly ConfigMigration[];
  readonly newest: number;
}

export interface Problem {
  readonly line: number | null;
  readonly text: string;
}

const SECOND_DOCUMENT = "a second document begins here (---): a configuration is one";

/** The checked configuration. Throws `config.invalid` naming every problem with its line. */
export function readConfig<S extends z.ZodType>(schema: S, source: ConfigSource): z.infer<S> {
  const lines = new LineCounter();
  const document = parseDocument(source.text, { lineCounter: lines, prettyErrors: false });
  const syntax = document.errors.map(
    ({ code, message, pos }): Problem => ({
      line: lines.linePos(pos[0]).line,
      text: code === "MULTIPLE_DOCS" ? SECOND_DOCUMENT : withoutContent(message),
    }),
  );
  if (syntax.length > 0) throw invalid(source, syntax);
  migrate(document, source);
  const value = plainValue(document, source);
  if (typeof value !== "object" || Array.isArray(value)) {
    const found = Array.isArray(value) ? "a list" : `the ${typeof value} ${JSON.stringify(value)}`;
    throw invalid(source, [
      { line: 1, text: `expected settings, one "key: value" a line: ${found}` },
    ]);
  }
  const overrides = readVariables(schema, source);
  for (const override of overrides.values) setIn(value, override.path, override.value);
  const result = schema.safeParse(value);
  const lineOf = (path: Path, key?: string): number | null => {
    const offset = offsetOf(document.contents, path, key);
    return offset === null ? null : lines.linePos(offset).line;
  };
  const issues = result.success ? [] : result.error.issues;
  const context = { schema, value, lineOf, overrides: overrides.values };
  const wrong = issues.flatMap((issue) => problemsOf(issue, context));
  const torn = tornTexts(value, []).map(
    (path): Problem => ({ line: lineOf(path), text: `${path.join(".")} ends in half a character` }),
  );
  if (!result.success || torn.length > 0 || overrides.problems.length > 0) {
    throw invalid(source, [...wrong, ...torn, ...overrides.problems]);
  }
  return result.data;
}

export type Setting = string | number | boolean;

/** What is before the server in a URL, up to the last @: a password may have one of its own. */
const ACCOUNT = /^([a-z][a-z0-9+.-]*:\/\/).*@/i;
/** A parameter of a URL that is a secret. */
const PARAMETER = /([?&][^=&]*(?:password|passwd|pwd|token|secret|key)[^=&]*=)[^&#]*/gi;

/** The settings in force by dotted path, in words that may be shown: no secret is among them. */
export function settingsOf(config: object): Record<string, Setting> {
  return Object.fromEntries(flatten(config, []));
}

function flatten(value: unknown, path: readonly string[]): [string, Setting][] {
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => flatten(inner, [...path, key]));
  }
  if (value === undefined) return [];
  const name = path.join(".");
  if (isSecret(name)) return [[name, "(set)"]];
  if (typeof value === "number" || typeof value === "boolean") return [[name, value]];
  return [[name, withoutPassword(String(value))]];
}

function withoutPassword(text: string): string {
  return text.replace(ACCOUNT, "$1…@").replace(PARAMETER, "$1…");
}

/** JSON Schema (2020-12) of a configuration, for editors. */
export function configJsonSchema(schema: z.ZodType): unknown {
  return z.toJSONSchema(schema, { io: "input" });
}

function migrate(document: Document, source: ConfigSource): void {
  const { migrations, program } = source;
  if (migrations === undefined) return;
  const found = migrateDocument(document, migrations.steps, migrations.newest);
  if (found !== null) {
    if (found.renamed.length > 0) source.migrated?.(found);
    return;
  }
  const known = `this ${program} reads 1 to ${migrations.newest}`;
  const text = `version: ${String(document.get("version"))} is none that is known: ${known}`;
  throw invalid(source, [{ line: null, text }]);
}

/** The plain value of a document. Aliases may make it endless: then it is refused. */
function plainValue(document: Document, source: ConfigSource): unknown {
  try {
    return document.toJS() ?? {};
  } catch (error) {
    throw invalid(source, [{ line: null, text: withoutContent(messageOf(error)) }]);
  }
}

function invalid({ file, program }: ConfigSource, problems: readonly Problem[]): PorchlightError {
  const sorted = [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  const list = sorted.map(({ line, text }) => `  ${line === null ? "" : `line ${line}: `}${text}`);
  return new PorchlightError("config.invalid", `${file} has mistakes:\n${list.join("\n")}`, {
    exitCode: EXIT.config,
    hint: `see every setting: ${program} config schema`,
  });
}

/** Where a text holds half of a surrogate pair: it could be stored and sent by nobody. */
function tornTexts(value: unknown, path: readonly string[]): string[][] {
  if (typeof value === "string") return /\p{Cs}/u.test(value) ? [[...path]] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => tornTexts(inner, [...path, key]));
}

interface Context {
  readonly schema: z.ZodType;
  readonly value: unknown;
  readonly lineOf: (path: Path, key?: string) => number | null;
  readonly overrides: readonly Override[];
}

function problemsOf(
  issue: z.core.$ZodIssue,
  { schema, value, lineOf, overrides }: Context,
): Problem[] {
  const place = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(shapeAt(schema, issue.path, value));
    const elsewhere = Object.keys(shapeAt(schema, issue.path));
    return issue.keys.map((key) => {
      const other = elsewhere.includes(key) ? ` of this kind` : "";
      const near = other === "" ? didYouMean(key, known) : "";
      const name = [place, key].filter(Boolean).join(".");
      return { line: lineOf(issue.path, key), text: `${name} is not a setting${other}${near}` };
    });
  }
  if (issue.code === "invalid_union" && issue.discriminator !== undefined) {
    const kinds = discriminators(schemaAt(schema, issue.path.slice(0, -1)), issue.discriminator);
    const text = `${place}: expected one of ${kinds.join(", ")}`;
    return [{ line: lineOf(issue.path), text }];
  }
  const override = overrides.find(({ path }) => path.join(".") === place);
  const name = override === undefined ? place : override.variable;
  const line = override === undefined ? lineOf(issue.path) : null;
  return [{ line, text: `${name}: ${issue.message}` }];
}

/** Where a value, or a key inside it, begins; the nearest enclosing thing when it is missing. */
function offsetOf(root: unknown, path: Path, key: string | undefined): number | null {
  let node = root;
  let offset: number | null = null;
  for (const step of key === undefined ? path : [...path, key]) {
    if (!isCollection(node)) break;
    const item: unknown = node.items.find((each, index) =>
      isPair(each) && isScalar(each.key) ? each.key.value === step : index === step,
    );
    const at = isPair(item) ? item.key : item;
    if (isScalar(at) && at.range) offset = at.range[0];
    else if (isCollection(at) && at.range) offset = at.range[0];
    node = isPair(item) ? item.value : item;
  }
  return offset;
}

export function setIn(root: unknown, path: readonly string[], value: unknown): void {
  if (typeof root !== "object" || root === null) return; // no mapping: the schema will say so
  let node = root as Record<string, unknown>; // a list gains a key that the schema refuses too
  for (const [i, key] of path.entries()) {
    if (i === path.length - 1 && value === undefined) delete node[key];
    else if (i === path.length - 1) node[key] = value;
    else {
      const next = node[key];
      if (typeof next !== "object" || next === null) node[key] = {};
      node = node[key] as Record<string, unknown>;
    }
  }
}
