/** A command line: finds the verb, checks its options, runs it, and turns errors into exits. */
import { parseArgs } from "node:util";
import { EXIT, type ExitCode, PorchlightError } from "../core/errors.ts";
import { didYouMean } from "../core/near-miss.ts";
import { type Runtime, runtimeWords } from "../core/own-runtime.ts";
import { printable } from "../core/printable.ts";
import { EVERYWHERE, overview, usageLine, verbHelp } from "./help.ts";
import {
  labelOf,
  type OptionTable,
  parserOptions,
  readOptions,
  usageError,
  type ValuesOf,
} from "./options.ts";
import { createTerminal, type Terminal } from "./terminal.ts";
import type { Call, Verb } from "./verb.ts";

/** The static description of a command line: for its help, its manual page, a shell. */
export interface CommandTable<I extends Call, C extends OptionTable> {
  /** As it is typed. */
  readonly name: string;
  readonly about: string;
  readonly firstSteps: string;
  /** Options that every command takes, besides --json and --help. */
  readonly options: C;
  /** In the order a newcomer meets them. */
  readonly verbs: readonly Verb<I>[];
}

export interface Program<I extends Call, C extends OptionTable> extends CommandTable<I, C> {
  /** Its version, and what it runs on. */
  readonly runtime: Runtime;
  /** Puts an error of the program's own libraries into an operator's words. */
  readonly explain?: (error: unknown) => unknown;
  /** Adds to a call what its verb works on; `close` is called when the verb has ended. */
  readonly prepare: (
    call: Call,
    common: ValuesOf<C>,
  ) => { readonly invocation: I; close(): Promise<void> | void };
}

/** What of the process a command line uses: the composition root hands it over. */
export type Host = Pick<
  NodeJS.Process,
  "argv" | "channel" | "stdin" | "stdout" | "stderr" | "once" | "removeListener" | "exit"
>;

/** Runs the verb that was typed; the exit code says how it went. */
export async function runProgram<I extends Call, C extends OptionTable>(
  program: Program<I, C>,
  host: Host,
): Promise<ExitCode> {
  const { stdout, stderr, stdin, argv } = host;
  // A reader such as `head` may leave early: that is not an error of ours.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    host.exit(EXIT.ok);
  });
  const words = argv.slice(2);
  const terminal = createTerminal(
    { out: stdout, err: stderr, in: stdin },
    words.includes("--json"),
  );
  const found = findVerb(program, words);
  try {
    return await obey(program, { words, found }, terminal, host);
  } catch (error) {
    const known = program.explain?.(error) ?? error;
    const where = { program: program.name, verb: found?.verb.name, json: terminal.json };
    return report(known, where, (text) => void stderr.write(text));
  }
}

interface Typed<I extends Call> {
  readonly words: readonly string[];
  readonly found: { readonly verb: Verb<I>; readonly rest: string[] } | null;
}

async function obey<I extends Call, C extends OptionTable>(
  program: Program<I, C>,
  { words, found }: Typed<I>,
  terminal: Terminal,
  host: Host,
): Promise<ExitCode> {
  const [first = "--help"] = words;
  if (["--help", "-h", "help"].includes(first)) {
    const verbs = program.verbs.map(({ name, summary }) => ({ name, summary }));
    terminal.data(verbs, overview(program));
    return words.length === 0 ? EXIT.usage : EXIT.ok;
  }
  if (first === "--version") {
    const { name, runtime } = program;
    terminal.data({ name, ...runtime }, `${name} ${runtime.version}, ${runtimeWords(runtime)}`);
    return EXIT.ok;
  }
  if (found === null) {
    const option = words.findIndex((word) => word.startsWith("-"));
    throw unknownVerb(program, option === -1 ? words : words.slice(0, option));
  }
  const { verb, rest } = found;
  if (rest.includes("--help") || rest.includes("-h")) {
    const usage = usageLine(program.name, verb);
    terminal.data({ name: verb.name, usage }, verbHelp(program, verb));
    return EXIT.ok;
  }
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  host.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  // A program that started us through a channel and is gone would leave us behind unseen.
  if (host.channel != null) host.once("disconnect", onSignal).channel?.unref();
  const { typed, operands } = parse(program, verb, rest);
  const values = readOptions(verb.options, typed);
  const { runtime } = program;
  const call: Call = { operands, terminal, signal: stop.signal, runtime };
  const { invocation, close } = program.prepare(call, readOptions(program.options, typed));
  try {
    return await verb.run({ ...invocation, values });
  } catch (error) {
    // Asked to end before it had begun: that is no failure.
    if (stop.signal.aborted && isAbort(error)) return EXIT.ok;
    throw error;
  } finally {
    await close();
    for (const event of ["SIGINT", "SIGTERM", "disconnect"]) host.removeListener(event, onSignal);
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

/** The verb with the most words that the command line begins with. */
function findVerb<I extends Call>(
  { verbs }: { readonly verbs: readonly Verb<I>[] },
  words: readonly string[],
) {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const verb = verbs.find((each) => each.name === name);
    if (verb !== undefined) return { verb, rest: words.slice(length) };
  }
  return null;
}

function unknownVerb<I extends Call>(
  { name: program, verbs }: { readonly name: string; readonly verbs: readonly Verb<I>[] },
  words: readonly string[],
): PorchlightError {
  const names = verbs.map(({ name }) => name);
  const group = names.filter((name) => name.startsWith(`${words[0]} `));
  if (group.length > 0 && words.length === 1) {
    return usageError(`${program} ${words[0]} needs one more word: ${group.join(", ")}`);
  }
  const typed = words.slice(0, 2).join(" ");
  const hint = didYouMean(typed, names) || didYouMean(words[0] ?? "", names);
  return usageError(`${program} ${typed} is not a command${hint}`);
}

function parse<I extends Call>(
  program: { readonly name: string; readonly options: OptionTable },
  verb: Verb<I>,
  rest: string[],
): { readonly typed: Readonly<Record<string, unknown>>; readonly operands: readonly string[] } {
  const options = { ...EVERYWHERE, ...program.options, ...verb.options };
  const misspelled = rest
    .filter((word) => word.startsWith("--"))
    .map((word) => word.slice(2).split("=")[0] ?? "")
    .find((word) => word !== "" && !Object.hasOwn(options, word));
  if (misspelled !== undefined && rest.indexOf("--") === -1) {
    const hint = didYouMean(`--${misspelled}`, Object.keys(options).map(labelOf));
    throw usageError(`--${misspelled} is not an option of ${verb.name}${hint}`);
  }
  const { values: typed, positionals: operands } = parsedArguments(rest, options);
  const { min, max } = verb.operands;
  if (operands.length < min || operands.length > max) {
    throw usageError(`usage: ${usageLine(program.name, verb)}`);
  }
  return { typed, operands };
}

function parsedArguments(args: string[], options: OptionTable) {
  try {
    return parseArgs({ args, options: parserOptions(options), allowPositionals: true });
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

/** In words; with --json as one line of JSON, with the code of the error. */
function report(
  error: unknown,
  { program, verb, json }: { program: string; verb: string | undefined; json: boolean },
  write: (text: string) => void,
): ExitCode {
  if (!(error instanceof PorchlightError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    write(
      json ? `${JSON.stringify({ error: { code: "internal", message: text } })}\n` : `${text}\n`,
    );
    return EXIT.failed;
  }
  const help = `see: ${program} ${verb === undefined ? "" : `${verb} `}--help`;
  const hint = error.hint ?? (error.code === "cli.usage" ? help : undefined);
  const { code, message, exitCode } = error;
  if (json) {
    write(`${JSON.stringify({ error: { code, message, hint, exitCode } })}\n`);
    return exitCode;
  }
  write(`${program}: ${printable(message)}\n`);
  if (hint !== undefined) write(`  ${printable(hint)}\n`);
  return exitCode;
}
