import { PorchlightError } from "../../shared/core/errors.ts";

/** Awaits a failure and returns it; fails when there is none or it is of another code. */
export async function rejects(
  action: () => unknown | Promise<unknown>,
  code: string,
): Promise<PorchlightError> {
  let result: unknown;
  try {
    result = await action();
  } catch (error) {
    if (error instanceof PorchlightError && error.code === code) return error;
    throw error;
  }
  throw new Error(`expected ${code}, but it was fulfilled with ${typeof result}`);
}
