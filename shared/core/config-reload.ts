/** Takes up a configuration that was read again, as far as its keys can change while running. */
import { z } from "zod";
import { setIn, settingsOf } from "./config.ts";
import { innerOf, leavesOf } from "./config-schema.ts";
import type { SettingMeta } from "./setting.ts";

export interface Reloaded<C> {
  /** What is in force from now on. */
  readonly config: C;
  /** Dotted paths of everything that changed. */
  readonly changed: readonly string[];
  /** Of these, what holds after a restart only. */
  readonly needsRestart: readonly string[];
}

export function reloadConfig<C extends object>(
  schema: z.ZodType,
  current: C,
  next: C,
): Reloaded<C> {
  const live = leavesOf(schema)
    .filter(({ schema: leaf }) => settingMetaOf(leaf)?.requiresRestart === false)
    .map(({ path }) => path);
  const config = structuredClone(current);
  for (const path of live) {
    const value = valueAt(next, path);
    if (value !== valueAt(config, path)) setIn(config, path, value);
  }
  const [before, after] = [settingsOf(current), settingsOf(next)];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = keys.filter((key) => before[key] !== after[key]);
  // A list is told by its places: media.sizes.0 is of media.sizes.
  const isLive = (key: string): boolean =>
    live.some((path) => `${key}.`.startsWith(`${path.join(".")}.`));
  return { config, changed, needsRestart: changed.filter((key) => !isLive(key)) };
}

/** What a key says of itself, under its defaults and options; undefined where it says nothing. */
export function settingMetaOf(schema: unknown): SettingMeta | undefined {
  for (let inner = schema; inner !== undefined; inner = innerOf(inner)) {
    const meta = inner instanceof z.ZodType ? inner.meta() : undefined;
    const { title, description, requiresRestart } = meta ?? {};
    if (typeof title !== "string" || typeof description !== "string") continue;
    if (typeof requiresRestart === "boolean") return { title, description, requiresRestart };
  }
  return undefined;
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (node, key) => (typeof node === "object" && node !== null ? Reflect.get(node, key) : undefined),
    root,
  );
}
