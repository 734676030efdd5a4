/** The remedy for an operating error: retry it, reject the input, or stop. */
export type Remedy = "retry" | "reject" | "stop";

/** Exit codes of every command line verb. 64 and 78 are EX_USAGE and EX_CONFIG of sysexits(3). */
export const EXIT = { ok: 0, failed: 1, notFound: 2, usage: 64, config: 78 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface PorchlightErrorOptions {
  readonly remedy?: Remedy;
  /** One sentence that names the next command to type. */
  readonly hint?: string;
  readonly exitCode?: ExitCode;
  readonly cause?: unknown;
}

/**
 * An operating error: something outside the program is not as it should be.
 * Callers switch on `code` (dotted, stable: "store.key.wrong") or `remedy`, never on the message.
 * Messages say what was wrong and where; they never carry a name, a face, a key or a password.
 */
export class PorchlightError extends Error {
  override readonly name = "PorchlightError";
  readonly code: string;
  readonly remedy: Remedy;
  readonly hint: string | undefined;
  readonly exitCode: ExitCode;

  constructor(code: string, message: string, options: PorchlightErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy ?? "stop";
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? EXIT.failed;
  }
}

/** Stops the program on a programmer error: systemd restarts it, and the log is always whole. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}

/** The message of anything that was thrown, for a log line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The numeric `code` of an error, as MQTT libraries give it, if it has one. */
export function numericCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "number" ? error.code : undefined;
}

/** The `code` of a Node system error ("ENOENT"), if it is one. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
