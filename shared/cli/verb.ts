/** What a command of a command line is, and how its options are read. */
import type { ParseArgsConfig } from "node:util";
import { EXIT, type ExitCode, PorchlightError } from "../core/errors.ts";
import type { Runtime } from "../core/own-runtime.ts";
import type { Terminal } from "./terminal.ts";

export type Options = NonNullable<ParseArgsConfig["options"]>;
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** What the command line says; a program adds what its verbs work on. */
export interface Call {
  readonly operands: readonly string[];
  readonly values: Values;
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly runtime: Runtime;
}

/** One verb, one file. */
export interface Verb<I extends Call> {
  /** "people list": the words after the program's name. */
  readonly name: string;
  /** What follows the name in the usage line. */
  readonly usage: string;
  readonly summary: string;
  /** Explains each option, one line each. */
  readonly options: Options;
  readonly optionHelp: Readonly<Record<string, string>>;
  /** A command a person could type. */
  readonly example: string;
  /** How many words may follow the name. */
  readonly operands: { readonly min: number; readonly max: number };
  run(invocation: I): Promise<ExitCode>;
}

/** A wrong command line: exit 64. Whoever runs the verb adds the way to its help. */
export function usageError(message: string): PorchlightError {
  return new PorchlightError("cli.usage", message, { exitCode: EXIT.usage });
}

/** A string option, or undefined. */
export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

/** A numeric option within limits, or the fallback. */
export function number(
  values: Values,
  name: string,
  { fallback, min, max }: { fallback: number; min: number; max: number },
): number {
  const value = text(values, name);
  if (value === undefined) return fallback;
  const parsed = Number(value);
  if (value.trim() !== "" && parsed >= min && parsed <= max) return parsed;
  throw usageError(`--${name} is a number from ${min} to ${max}, not ${JSON.stringify(value)}`);
}
