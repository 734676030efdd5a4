import { type Callback, type Test, suite as uvuSuite } from "uvu";

/**
 * A suite whose hooks say why they failed: uvu ends a suite whose hook throws without a word, as if
 * nothing in it had ever run.
 */
export function suite<T = Record<string, unknown>>(name: string, context?: T): Test<T> {
  const tests = uvuSuite<T>(name, context);
  const aloud =
    (hook: Callback<T>): Callback<T> =>
    async (...given) => {
      try {
        await hook(...given);
      } catch (error) {
        const why = error instanceof Error ? error.stack : String(error);
        process.stderr.write(`${name}: a hook failed: ${why}\n`);
        throw error;
      }
    };
  for (const when of ["before", "after"] as const) {
    const hook = tests[when];
    tests[when] = Object.assign((callback: Callback<T>) => hook(aloud(callback)), {
      each: (callback: Callback<T>) => hook.each(aloud(callback)),
    });
  }
  return tests;
}
