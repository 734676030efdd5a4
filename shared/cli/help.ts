import type { Program } from "./program.ts";
import type { Call, Verb } from "./verb.ts";

const EVERYWHERE = [
  ["--json", "data on stdout as JSON"],
  ["--help", "this text"],
] as const;

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

export function overview<I extends Call>({ name, about, firstSteps, verbs }: Program<I>): string {
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

export function verbHelp<I extends Call>(
  program: Pick<Program<I>, "name" | "optionHelp">,
  verb: Verb<I>,
): string {
  const own = [...Object.entries(verb.optionHelp), ...Object.entries(program.optionHelp)];
  return [
    verb.summary,
    "",
    `usage: ${program.name} ${verb.name} ${verb.usage}`.trimEnd(),
    "",
    columns([...own, ...EVERYWHERE]),
    "",
    `example: ${verb.example}`,
  ].join("\n");
}
