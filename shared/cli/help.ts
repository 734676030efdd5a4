import { flag, helpOf, type OptionTable, usageOf } from "./options.ts";
import type { Program } from "./program.ts";
import type { Call, Verb } from "./verb.ts";

/** Options of every command of every program. */
export const EVERYWHERE = {
  json: flag("data on stdout as JSON"),
  help: flag("this text", "h"),
} as const;

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

export function overview<I extends Call, C extends OptionTable>({
  name,
  about,
  firstSteps,
  verbs,
}: Program<I, C>): string {
  return [
    `${name}: ${about}`,
    "",
    `usage: ${name} <command> [options]`,
    "",
    columns(verbs.map((verb) => [verb.name, verb.summary] as const)),
    "",
    `first steps: ${firstSteps}`,
    `more about one: ${name} <command> --help; version and Node.js: ${name} --version`,
  ].join("\n");
}

/** "porchlight people remove <name or id> [--yes]". */
export function usageLine(
  program: string,
  verb: Pick<Verb<Call>, "name" | "operands" | "options">,
): string {
  return [program, verb.name, verb.operands.usage, usageOf(verb.options)].filter(Boolean).join(" ");
}

export function verbHelp<I extends Call>(
  program: { readonly name: string; readonly options: OptionTable },
  verb: Verb<I>,
): string {
  const options = { ...verb.options, ...program.options, ...EVERYWHERE };
  return [
    verb.summary,
    "",
    `usage: ${usageLine(program.name, verb)}`,
    "",
    columns(helpOf(options)),
    "",
    `example: ${verb.example}`,
  ].join("\n");
}
