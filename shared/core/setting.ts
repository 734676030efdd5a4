/** Metadata of a configuration key: title, help and how it is reloaded. */

/** From when on a changed value holds. */
export type TakesEffect = "at once" | "after a restart";

export interface SettingMeta {
  /** A few words, as a form would show it. */
  readonly title: string;
  /** What it does, its unit, and what holds where it is not set. */
  readonly description: string;
  readonly requiresRestart: boolean;
  /** zod takes other words too. */
  readonly [word: string]: unknown;
}

/** For `.meta(…)` of a key: it goes into the JSON Schema, too. */
export function setting(
  title: string,
  description: string,
  takesEffect: TakesEffect = "after a restart",
): SettingMeta {
  return { title, description, requiresRestart: takesEffect !== "at once" };
}
