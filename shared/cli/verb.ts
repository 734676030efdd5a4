/** What a command of a command line is. */
import type { ExitCode } from "../core/errors.ts";
import type { Runtime } from "../core/own-runtime.ts";
import type { OptionTable, ValuesOf } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** What the command line says; a program adds what its commands work on. */
export interface Call {
  readonly operands: readonly string[];
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly runtime: Runtime;
}

/** A call with the values of a command's own options. */
export type Given<I extends Call, O extends OptionTable> = I & { readonly values: ValuesOf<O> };

/** One command; those about one noun share a file. */
export interface VerbOf<I extends Call, O extends OptionTable> {
  /** "people list": the words after the program's name. */
  readonly name: string;
  readonly summary: string;
  /** What may follow the name: as it stands in the usage line, and how many words. */
  readonly operands: { readonly usage: string; readonly min: number; readonly max: number };
  readonly options: O;
  /** A command a person could type. */
  readonly example: string;
  run(invocation: Given<I, O>): Promise<ExitCode>;
}

/** A command whatever its options are. */
export type Verb<I extends Call> = VerbOf<I, OptionTable>;

export const NO_OPERANDS = { usage: "", min: 0, max: 0 } as const;

export function oneOperand(usage: string): Verb<Call>["operands"] {
  return { usage, min: 1, max: 1 };
}

/** For one program: gives `run` the values that the options promise. */
export function verbMaker<I extends Call>() {
  return <O extends OptionTable>(verb: VerbOf<I, O>): Verb<I> => ({
    ...verb,
    // The program reads the values by this very table before it calls.
    run: (invocation) => verb.run(invocation as Given<I, O>),
  });
}
