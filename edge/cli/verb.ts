import type { ParseArgsConfig } from "node:util";
import { EXIT, type ExitCode, PorchlightError } from "../../shared/errors.ts";
import type { DeviceConfig } from "../config.ts";
import type { EventLog } from "../log/event-log.ts";
import type { OpenLog } from "../open-log.ts";
import type { Store } from "../open-store.ts";
import type { Terminal } from "./terminal.ts";

export type Options = NonNullable<ParseArgsConfig["options"]>;
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** One verb, one file. */
export interface Verb {
  /** "people list": the words after `porchlight`. */
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
  run(invocation: Invocation): Promise<ExitCode>;
}

/** Everything a verb may use; what it does not ask for is not made. */
export interface Invocation {
  readonly operands: readonly string[];
  readonly values: Values;
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** `cli:<user>`: who the log says did it. */
  readonly actor: string;
  readonly configFile: string;
  /** The checked configuration, --data and PORCHLIGHT_* applied. */
  config(): DeviceConfig;
  /** Opens the store of this configuration; closed when the verb ends. */
  store(): Store;
  /** Opens the log alone: the log key is enough, and nothing sealed can be read. */
  log(): EventLog;
  /** The same, with what lies beside the log: its earlier lives, and the agent's place in it. */
  openedLog(): OpenLog;
  /** The environment, for what is passed on to other programs. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A wrong command line: exit 64, and the way to the help of this verb. */
export function usageError(message: string, verb: string): PorchlightError {
  const command = verb === "" ? "porchlight --help" : `porchlight ${verb} --help`;
  return new PorchlightError("cli.usage", message, {
    exitCode: EXIT.usage,
    hint: `see: ${command}`,
  });
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
  { fallback, min, max, verb }: { fallback: number; min: number; max: number; verb: string },
): number {
  const value = text(values, name);
  if (value === undefined) return fallback;
  const parsed = Number(value);
  if (value.trim() !== "" && parsed >= min && parsed <= max) return parsed;
  throw usageError(
    `--${name} is a number from ${min} to ${max}, not ${JSON.stringify(value)}`,
    verb,
  );
}
