/** Options of a command: one table gives its usage line, its help, and the types of its values. */
import type { ParseArgsConfig } from "node:util";
import { EXIT, PorchlightError } from "../core/errors.ts";

export interface Option<T> {
  /** What stands for its value in the usage line; null for one that has none. */
  readonly placeholder: string | null;
  /** One line. */
  readonly help: string;
  /** A letter that means the same. */
  readonly short?: string;
  /** Whether the command does nothing without it. */
  readonly required: boolean;
  /** From what was typed; `label` is how the option is written. Throws a usage error. */
  read(typed: string | boolean | undefined, label: string): T;
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>;
export type ValuesOf<O extends OptionTable> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never;
};

/** A wrong command line: exit 64. Whoever runs the command adds the way to its help. */
export function usageError(message: string): PorchlightError {
  return new PorchlightError("cli.usage", message, { exitCode: EXIT.usage });
}

export function flag(help: string, short?: string): Option<boolean> {
  const read = (typed: string | boolean | undefined): boolean => typed === true;
  return { placeholder: null, help, required: false, read, ...(short !== undefined && { short }) };
}

/** `--yes` before what cannot be undone: without it the command says why, and does nothing. */
export function confirmation(why: string): Option<true> {
  return {
    placeholder: null,
    help: `${why}: confirm it`,
    required: true,
    read(typed, label) {
      if (typed === true) return true;
      throw usageError(`${why}: ${label}`);
    },
  };
}

export function text(placeholder: string, help: string): Option<string | undefined> {
  return { placeholder, help, required: false, read: textOf };
}

export function requiredText(placeholder: string, help: string): Option<string> {
  return {
    placeholder,
    help,
    required: true,
    read(typed, label) {
      const given = textOf(typed);
      if (given !== undefined) return given;
      throw usageError(`${label} ${placeholder} is missing: ${help}`);
    },
  };
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The id of a device; undefined where none was typed. */
export function deviceId(help: string): Option<string | undefined> {
  return {
    placeholder: "ID",
    help,
    required: false,
    read(typed, label) {
      const given = textOf(typed);
      return given === undefined ? undefined : checkedDeviceId(given, label);
    },
  };
}

/** The same of an operand, or of anything that was typed. */
export function checkedDeviceId(given: string, label = "a device"): string {
  const id = given.toLowerCase();
  if (ID.test(id)) return id;
  throw usageError(`${label} is named by its id, a UUID, not by ${JSON.stringify(given)}`);
}

export interface Limits {
  readonly min: number;
  readonly max: number;
  /** Fractions too. */
  readonly fractions?: true;
}

/** A number within limits; the fallback where none was typed. */
export function number<F extends number | undefined>(
  placeholder: string,
  help: string,
  { fallback, min, max, fractions }: Limits & { readonly fallback: F },
): Option<number | F> {
  const kind = fractions === true ? "a number" : "a whole number";
  return {
    placeholder,
    help,
    required: false,
    read(typed, label) {
      const given = textOf(typed);
      if (given === undefined) return fallback;
      const value = Number(given);
      const fits = given.trim() !== "" && value >= min && value <= max;
      if (fits && (fractions === true || Number.isInteger(value))) return value;
      throw usageError(`${label} is ${kind} from ${min} to ${max}, not ${JSON.stringify(given)}`);
    },
  };
}

/** "-n", "--dry-run". */
export function labelOf(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** "[--from URL]", "--out FILE", "[--dry-run]". */
export function usageOf(options: OptionTable): string {
  return Object.entries(options)
    .map(([name, { placeholder, required }]) => {
      const words = [labelOf(name), ...(placeholder === null ? [] : [placeholder])].join(" ");
      return required ? words : `[${words}]`;
    })
    .join(" ");
}

/** Each option as it is written, and its help. */
export function helpOf(options: OptionTable): readonly (readonly [string, string])[] {
  return Object.entries(options).map(([name, { placeholder, short, help }]) => {
    const label = short === undefined ? labelOf(name) : `-${short}, ${labelOf(name)}`;
    return [placeholder === null ? label : `${label} ${placeholder}`, help] as const;
  });
}

/** As node:util takes them. */
export function parserOptions(options: OptionTable): NonNullable<ParseArgsConfig["options"]> {
  return Object.fromEntries(
    Object.entries(options).map(([name, { placeholder, short }]) => {
      const letter = name.length === 1 ? name : short;
      const type = placeholder === null ? ("boolean" as const) : ("string" as const);
      return [name, { type, ...(letter !== undefined && { short: letter }) }];
    }),
  );
}

export function readOptions<O extends OptionTable>(
  options: O,
  typed: Readonly<Record<string, unknown>>,
): ValuesOf<O> {
  const values = Object.entries(options).map(([name, option]) => {
    const given = typed[name];
    const known = typeof given === "string" || typeof given === "boolean" ? given : undefined;
    return [name, option.read(known, labelOf(name))];
  });
  return Object.fromEntries(values) as ValuesOf<O>; // each value was read by the option of its name
}

function textOf(typed: string | boolean | undefined): string | undefined {
  return typeof typed === "string" ? typed : undefined;
}
