/** Walks a schema: what keys there are below a path, and of which branch of a choice. */
import { z } from "zod";

/** Keys to a value. */
export type Path = readonly PropertyKey[];

/** What a default, an optional or the like is put around; undefined where nothing is. */
export function innerOf(schema: unknown): unknown {
  const wraps =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable;
  return wraps ? schema.def.innerType : undefined;
}

function unwrap(schema: unknown): unknown {
  const inner = innerOf(schema);
  return inner === undefined ? schema : unwrap(inner);
}

function shapeOf(schema: unknown): Record<string, unknown> {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) return inner.shape;
  if (inner instanceof z.ZodUnion) return Object.assign({}, ...inner.options.map(shapeOf));
  return {};
}

/** Of a choice the branch that the value has chosen, where one is given and has. */
export function shapeAt(schema: unknown, path: Path, value?: unknown): Record<string, unknown> {
  const chosen = path.reduce<unknown>(
    (node, key) => (typeof node === "object" && node !== null ? Reflect.get(node, key) : undefined),
    value,
  );
  const found = unwrap(schemaAt(schema, path));
  if (!(found instanceof z.ZodUnion) || chosen === undefined) return shapeOf(found);
  const branch = found.options.find((option) => {
    const [[key, literal] = []] = Object.entries(shapeOf(option)).filter(
      ([, inner]) => unwrap(inner) instanceof z.ZodLiteral,
    );
    const named = unwrap(literal);
    return (
      key !== undefined &&
      named instanceof z.ZodLiteral &&
      named.values.has(Reflect.get(Object(chosen), key))
    );
  });
  return shapeOf(branch ?? found);
}

export function schemaAt(schema: unknown, path: Path): unknown {
  return path.reduce((inner: unknown, key) => shapeOf(inner)[String(key)], schema);
}

/** What a choice is made by may be, in the order of its branches. */
export function discriminators(schema: unknown, key: string): string[] {
  const union = unwrap(schema);
  if (!(union instanceof z.ZodUnion)) return [];
  return union.options.flatMap((option) => {
    const literal = unwrap(shapeOf(option)[key]);
    return literal instanceof z.ZodLiteral ? [...literal.values].map(String) : [];
  });
}

export interface Leaf {
  readonly path: readonly string[];
  readonly schema: unknown;
}

/** Every single setting of a schema; of a choice, those of all its branches. */
export function leavesOf(schema: unknown, path: readonly string[] = []): Leaf[] {
  const shape = Object.entries(shapeOf(schema));
  if (shape.length === 0) return [{ path, schema }];
  return shape.flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
}

/** Whether a setting is text, and nothing else: a variable for it is that text as it stands. */
export function isText(schema: unknown): boolean {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodEnum) return true;
  if (inner instanceof z.ZodLiteral) return [...inner.values].every((v) => typeof v === "string");
  if (inner instanceof z.ZodPipe) return isText(inner.def.in);
  return inner instanceof z.ZodType && inner.def.type === "string";
}
