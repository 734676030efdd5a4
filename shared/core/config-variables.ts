/** Variables of the environment that override single settings of a configuration. */
import { parseDocument } from "yaml";
import type { ConfigSource, Problem } from "./config.ts";
import { renamedKeys } from "./config-migration.ts";
import { isText, type Leaf, leavesOf } from "./config-schema.ts";
import { messageOf, systemCodeOf } from "./errors.ts";
import { didYouMean } from "./near-miss.ts";

/** Secrets in a configuration, by their last key. */
const SECRET = /(password|token|secret|secretAccessKey)$/i;
const FILE = "_FILE";

export function isSecret(name: string): boolean {
  return SECRET.test(name);
}

export interface Override {
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

interface Variables {
  readonly values: Override[];
  readonly problems: Problem[];
}

/** The variable that overrides a setting: models.directory → PORCHLIGHT_MODELS_DIRECTORY. */
export function variableOf(prefix: string, path: readonly string[]): string {
  const words = path.map((key) => key.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase());
  return [prefix, ...words].join("_");
}

/** What YAML complains of, without the text that it quotes behind a colon: that may be a password. */
export function withoutContent(message: string): string {
  return message.split(": ")[0] ?? message;
}

/** Every variable with the prefix: what it sets, or what is wrong with it. */
export function readVariables(schema: unknown, source: ConfigSource): Variables {
  const { environment, prefix, reserved } = source;
  const known = knownVariables(schema, source);
  const found: Variables = { values: [], problems: [] };
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith(`${prefix}_`)) continue;
    if (reserved.some((name) => isReserved(variable, name))) continue;
    readVariable(variable, text, { known, source, found });
  }
  return found;
}

interface Reading {
  readonly known: ReadonlyMap<string, Leaf>;
  readonly source: ConfigSource;
  readonly found: Variables;
}

function readVariable(variable: string, text: string, reading: Reading): void {
  const { known, found } = reading;
  const leaf = known.get(variable);
  if (leaf === undefined) {
    readNamedFile(variable, text, reading);
  } else if (isText(leaf.schema)) {
    found.values.push({ variable, path: leaf.path, value: text });
  } else {
    try {
      const document = parseDocument(text, { prettyErrors: false });
      const [error] = document.errors;
      if (error !== undefined) throw error;
      found.values.push({ variable, path: leaf.path, value: document.toJS() });
    } catch (error) {
      found.problems.push(problem(`${variable}: ${withoutContent(messageOf(error))}`));
    }
  }
}

/** …_FILE of a secret: its file has it, as Docker and Kubernetes place secrets. */
function readNamedFile(variable: string, path: string, { known, source, found }: Reading): void {
  const direct = variable.slice(0, -FILE.length);
  const secret = variable.endsWith(FILE) ? known.get(direct) : undefined;
  if (secret === undefined || !isSecret(secret.path.join("."))) {
    const hint = didYouMean(variable, known.keys());
    found.problems.push(problem(`the variable ${variable} is not a setting${hint}`));
    return;
  }
  if (source.environment[direct] !== undefined) {
    found.problems.push(problem(`${variable}: ${direct} is set, too: leave one of them out`));
    return;
  }
  try {
    const value = source.readFile?.(path).replace(/\r?\n$/, "");
    found.values.push({ variable, path: secret.path, value });
  } catch (error) {
    const reason = systemCodeOf(error) ?? messageOf(error);
    found.problems.push(problem(`${variable}: ${path} cannot be read (${reason})`));
  }
}

function problem(text: string): Problem {
  return { line: null, text };
}

function knownVariables(schema: unknown, { prefix, migrations }: ConfigSource): Map<string, Leaf> {
  const leaves = leavesOf(schema);
  const known = new Map(leaves.map((leaf) => [variableOf(prefix, leaf.path), leaf]));
  for (const [old, now] of renamedKeys(migrations?.steps ?? [])) {
    const leaf = known.get(variableOf(prefix, now.split(".")));
    if (leaf !== undefined) known.set(variableOf(prefix, old.split(".")), leaf);
  }
  return known;
}

function isReserved(variable: string, reserved: string): boolean {
  return reserved.endsWith("_") ? variable.startsWith(reserved) : variable === reserved;
}
