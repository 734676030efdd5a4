import type { Verb } from "./verb.ts";

const GLOBAL_HELP = [
  ["--config FILE", "configuration (default: $PORCHLIGHT_CONFIG, /etc/porchlight/porchlight.yaml)"],
  ["--data DIR", "folder of the store (overrides the configuration)"],
  ["--json", "data on stdout as JSON"],
  ["--help", "this text"],
] as const;

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

export function overview(verbs: readonly Verb[]): string {
  const rows = verbs.map(({ name, summary }) => [name, summary] as const);
  return [
    "porchlight: knows who is at the door, on the device itself",
    "",
    "usage: porchlight <command> [options]",
    "",
    columns(rows),
    "",
    "first steps: porchlight init, porchlight enroll <name> <photos…>, porchlight start",
    "more about one: porchlight <command> --help",
  ].join("\n");
}

export function verbHelp({ name, usage, summary, optionHelp, example }: Verb): string {
  const options = [...Object.entries(optionHelp), ...GLOBAL_HELP];
  return [
    summary,
    "",
    `usage: porchlight ${name} ${usage}`.trimEnd(),
    "",
    columns(options),
    "",
    `example: ${example}`,
  ].join("\n");
}
