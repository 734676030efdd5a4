/** A manual page in section 1, in man(7), from the table that a command line's help is made of. */
import { usageLine } from "../../shared/cli/help.ts";
import { helpOf, type OptionTable } from "../../shared/cli/options.ts";
import type { CommandTable } from "../../shared/cli/program.ts";
import type { Call, Verb } from "../../shared/cli/verb.ts";

export interface ManPage {
  readonly version: string;
  /** Seconds since the epoch. */
  readonly dateS: number;
  /** Files that it uses, with what each is. */
  readonly files: readonly (readonly [string, string])[];
  readonly seeAlso: string;
}

/** As shared/core/errors.ts has them. */
const EXITS = [
  ["0", "It is done."],
  ["1", "It failed; standard error says why, and the next command."],
  ["2", "What was asked for is not there."],
  ["64", "The command line is wrong."],
  ["78", "The configuration is wrong."],
] as const;

export function manPage<I extends Call, C extends OptionTable>(
  commands: CommandTable<I, C>,
  page: ManPage,
): string {
  const { name, about, firstSteps, verbs } = commands;
  const date = new Date(page.dateS * 1_000).toISOString().slice(0, 10);
  const title = [name.toUpperCase(), "1", date, `${name} ${page.version}`, "User Commands"];
  return [
    `.TH ${title.map((word) => `"${escaped(word)}"`).join(" ")}`,
    ".SH NAME",
    `${escaped(name)} \\- ${escaped(about)}`,
    ".SH SYNOPSIS",
    `.B ${escaped(name)}`,
    ".I command",
    "[options]",
    ".SH DESCRIPTION",
    `First steps: ${escaped(firstSteps)}.`,
    ".SH COMMANDS",
    ...verbs.flatMap((verb) => commandLines(name, verb)),
    ".SH OPTIONS OF EVERY COMMAND",
    ...tagged(helpOf(commands.options)),
    ...tagged([
      ["--json", "data on standard output as JSON"],
      ["-h, --help", "the help of the command"],
    ]),
    ".SH EXIT STATUS",
    ...tagged(EXITS),
    ".SH FILES",
    ...tagged(page.files),
    ".SH SEE ALSO",
    escaped(page.seeAlso),
    "",
  ].join("\n");
}

function commandLines<I extends Call>(program: string, verb: Verb<I>): string[] {
  const { name, summary, options, example } = verb;
  const command = `${program} ${name}`;
  const rest = usageLine(program, verb).slice(command.length).trim();
  return [
    `.SS ${escaped(name)}`,
    `.B ${escaped(command)}`,
    ...(rest === "" ? [] : [line(rest)]),
    ".PP",
    line(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`),
    ...tagged(helpOf(options)),
    ".PP",
    "Example:",
    ".PP",
    ".RS",
    ".nf",
    line(example),
    ".fi",
    ".RE",
  ];
}

function tagged(rows: readonly (readonly [string, string])[]): string[] {
  return rows.flatMap(([tag, text]) => [".TP", `.B ${escaped(tag)}`, line(text)]);
}

/** A line of text: one that begins with a dot or a quote would be a request. */
function line(text: string): string {
  return escaped(text).replace(/^(?=[.'])/gm, "\\&");
}

/** A hyphen that is typed stays one; a backslash is no escape. */
function escaped(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq");
}
