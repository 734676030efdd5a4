/** Names of people: as they are typed, and as they are stored. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { usageError } from "../../shared/cli/options.ts";
import type { Terminal } from "../../shared/cli/terminal.ts";

/** Long enough for any name, short enough for a bell push display. */
export const NAME_CHARS_MAX = 100;

/** Typed in the place of a name, which is then asked for: arguments are public on a machine. */
const ASK = "-";

/** One spelling of a name: composed (NFC), single spaces, none around it. */
export function spelled(name: string): string {
  return name
    .normalize("NFC")
    .replaceAll(/\p{Zs}+/gu, " ")
    .trim();
}

/** What is taken for the same name when somebody is looked for. */
export function nameKey(name: string): string {
  return spelled(name).toLocaleLowerCase("en");
}

/** A name as it will be sealed. Throws a usage error for an empty, huge or malformed one. */
export function checkedName(name: string): string {
  const written = spelled(name);
  if (written === "" || written.length > NAME_CHARS_MAX || HIDDEN.test(withoutJoiners(written))) {
    throw usageError(
      `a name has 1 to ${NAME_CHARS_MAX} printable characters, none invisible or turning the text`,
    );
  }
  return written;
}

/**
 * Controls, halves of characters, line and paragraph separators, unassigned and private ones, and
 * format characters: those that turn the text (U+202E) or are not seen (U+200B). Also letters that
 * are drawn as nothing.
 */
const HIDDEN =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Joiners belong to some scripts and emoji: between two characters that are seen. */
function withoutJoiners(name: string): string {
  return name.replaceAll(JOINER, "").replaceAll(EMOJI_STYLE, "");
}

const JOINER =
  /(?<=\p{L}|\p{M}|\p{Extended_Pictographic}|\p{Emoji_Modifier}|\uFE0F)(?:\u200C|\u200D)(?=\p{L}|\p{Extended_Pictographic})/gu;
const EMOJI_STYLE = /(?<=\p{Extended_Pictographic})\uFE0F/gu;

/** The names meant: each `-` is asked for on a terminal, or is the next line of standard input. */
export async function askedNames(
  operands: readonly string[],
  terminal: Terminal,
): Promise<readonly string[]> {
  const missing = operands.filter((operand) => operand === ASK).length;
  if (missing === 0) return operands;
  const lines = terminal.interactive ? await ask(missing) : readFileSync(0, "utf8").split(/\r?\n/);
  return operands.map((operand) => (operand === ASK ? (lines.shift() ?? "") : operand));
}

async function ask(count: number): Promise<string[]> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const names: string[] = [];
  while (names.length < count) {
    names.push(await reader.question(names.length === 0 ? "Name: " : "New name: "));
  }
  reader.close();
  return names;
}
