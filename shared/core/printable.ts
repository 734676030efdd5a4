/** Text from elsewhere: camera names, reasons, statuses and names of people come from strangers. */
import { z } from "zod";

/** Control characters, lone surrogates, and what turns the direction of a line. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu;
const PRINTABLE = /^[^\p{Cc}\p{Cs}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$/u;

/** Foreign text moves no cursor and turns no line: but tab and newline, code points are shown. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) =>
    /[\n\t]/.test(character) ? character : codePointOf(character),
  );
}

/** One printable line of at most so many characters: for a log line, or a column of text. */
export function plainLine(text: string, charactersMax = 500): string {
  const line = text.slice(0, charactersMax * 2).replaceAll(/\s*[\n\t]\s*/g, " ");
  return line.replaceAll(UNPRINTABLE, codePointOf).slice(0, charactersMax);
}

/** Schema of a free text that is stored, or shown to a person. */
export function printableText(charactersMax: number) {
  return z.string().max(charactersMax).regex(PRINTABLE, "expected printable characters");
}

function codePointOf(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}}`;
}
