import { z } from "zod";
import { cursorSchema, hashSchema } from "./cursor.ts";

/** Classes of personal content. Each subject has one key a class; erasing a class is destroying it. */
export const PERSONAL_CLASSES = ["profile", "biometric", "media"] as const;
export type PersonalClass = (typeof PERSONAL_CLASSES)[number];

/** A pseudonymous id: of a person, or of the unknown visitor of one visit. */
export const subjectSchema = z.uuid().lowercase();

/** Similarities are rounded to this many decimals before they become facts. */
export const SIMILARITY_DECIMALS = 4;
const similarity = z.number().min(-1).max(1);
const durationMs = z.int().min(0);
const count = z.int().min(0);

export const packSchema = z.strictObject({
  models: z.array(z.strictObject({ file: z.string(), sha256: hashSchema })).optional(),
  name: z.string(),
  version: z.string(),
});

export const OUTCOMES = ["known", "unknown", "ambiguous", "unusable"] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Everything needed to explain a decision later, without a face in it. */
export const decisionSchema = z.strictObject({
  /** The frames that decided it, best first. */
  frames: z.array(
    z.strictObject({
      atMs: z.int(),
      index: count,
      quality: z.number(),
      score: similarity.nullable(),
      template: z.uuid().nullable(),
      widthPx: z.number(),
    }),
  ),
  margin: z.number().nullable(),
  outcome: z.enum(OUTCOMES),
  /** `name@version` of the model pack. */
  pack: z.string(),
  person: subjectSchema.nullable(),
  /** Why faces of this visit were not used, and how many. */
  refused: z.record(z.string(), count),
  runnerUp: z.strictObject({ person: subjectSchema, score: similarity }).nullable(),
  score: similarity.nullable(),
  /** How many faces of this visit were looked at. */
  seen: count,
  thresholds: z.strictObject({ margin: z.number(), match: similarity }),
});
export type Decision = z.infer<typeof decisionSchema>;

export const templateSourceSchema = z.enum(["photo", "camera", "visit", "reembedding"]);
export type TemplateSource = z.infer<typeof templateSourceSchema>;

/**
 * The facts the log knows: the only list of them. `data` holds no personal content.
 * A reader must accept types that are not listed here: a newer device may have written them.
 * Keys stand in alphabetical order, as they are written down: nobody has to sort what was parsed.
 */
export const ENTRY_DATA = {
  /** The first entry of every log. `parent` is the last known place of the log it follows. */
  "store.opened": z.strictObject({
    device: z.uuid(),
    format: z.literal(1),
    parent: cursorSchema.nullable(),
  }),
  "daemon.started": z.strictObject({ boot: z.string(), pack: packSchema, version: z.string() }),
  "daemon.stopped": z.strictObject({ reason: z.string(), upMs: durationMs }),
  /** The settings in force, by dotted path; they hold no secrets. */
  "config.applied": z.strictObject({
    settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    sha256: hashSchema,
  }),
  "model.activated": packSchema,
  "person.enrolled": z.strictObject({}),
  "person.renamed": z.strictObject({}),
  "person.erased": z.strictObject({ reason: z.enum(["requested", "retention"]) }),
  "template.added": z.strictObject({
    dimension: z.int().min(1),
    /** The template whose crop was embedded again, for `source: reembedding`. */
    of: z.uuid().nullable(),
    pack: z.string(),
    quality: z.number(),
    source: templateSourceSchema,
    template: z.uuid(),
    widthPx: z.number(),
  }),
  /** It is compared with nobody any more; what was sealed in it stays until its person is erased. */
  "template.removed": z.strictObject({ template: z.uuid() }),
  "visit.started": z.strictObject({ camera: z.string(), visit: subjectSchema }),
  "visit.recognised": z.strictObject({
    decision: decisionSchema,
    revision: z.int().min(1),
    visit: subjectSchema,
  }),
  /** `interrupted`: the device lost power or was killed; how long the visit went on is not known. */
  "visit.ended": z.strictObject({
    durationMs: durationMs.nullable(),
    frames: count.nullable(),
    outcome: z.enum(OUTCOMES),
    reason: z.enum(["absent", "stopped", "interrupted"]),
    visit: subjectSchema,
  }),
  "button.pressed": z.strictObject({ button: z.string().min(1).max(64) }),
  /** One sealed object in a file: `sha256` and `bytes` are of the object as it is stored. */
  "media.captured": z.strictObject({
    bytes: count,
    heightPx: count,
    kind: z.enum(["clip", "snapshot"]),
    media: z.uuid().lowercase(),
    sha256: hashSchema,
    visit: subjectSchema,
    widthPx: count,
  }),
  /** This visit was that person's, as it turned out later: what erases the one erases the other. */
  "visit.linked": z.strictObject({ person: subjectSchema, visit: subjectSchema }),
  /** A crop of a visit's decision, in a file like a snapshot; those of earlier revisions are gone. */
  "crop.captured": z.strictObject({
    bytes: count,
    crop: z.uuid().lowercase(),
    revision: z.int().min(1),
    sha256: hashSchema,
    visit: subjectSchema,
  }),
  /** The crop that a template was made from, in a file. */
  "crop.enrolled": z.strictObject({
    bytes: count,
    crop: z.uuid().lowercase(),
    sha256: hashSchema,
    template: z.uuid(),
  }),
  /** Keys of its subject were destroyed, by age: what they have sealed cannot be read any more. */
  "keys.destroyed": z.strictObject({
    classes: z.array(z.enum(PERSONAL_CLASSES)).min(1),
    reason: z.literal("retention"),
  }),
  /**
   * The content of these entries was shed to save space: `ranges` are runs of them, first and last
   * seq; from `from` to `to` where there are none. Exactly `count` entries, `bytes` long.
   */
  "buffer.shed": z.strictObject({
    bytes: count,
    count: z.int().min(1),
    from: z.int().min(1),
    ranges: z.array(z.tuple([z.int().min(1), z.int().min(1)])).optional(),
    to: z.int().min(1),
    types: z.array(z.string()),
  }),
  "telemetry.sampled": z.strictObject({ metrics: z.record(z.string(), z.number()) }),
} as const;

export type EntryType = keyof typeof ENTRY_DATA;
export type EntryData<T extends EntryType> = z.infer<(typeof ENTRY_DATA)[T]>;

const base64 = z.base64();

/** What each type may carry under seal, by class. A type that is not here carries nothing. */
export const ENTRY_PERSONAL = {
  "person.enrolled": z.strictObject({ profile: z.strictObject({ name: z.string() }) }),
  "person.renamed": z.strictObject({ profile: z.strictObject({ name: z.string() }) }),
  /**
   * `embedding`: little-endian float32; `photo`: SHA-256 of the file it came from, to know the same
   * photo again, sealed because it would find the photo; `crop`: JPEG with room around the face, in
   * logs written before crops were files.
   */
  "template.added": z.strictObject({
    biometric: z.strictObject({
      crop: base64.nullable(),
      embedding: base64,
      photo: hashSchema.nullable(),
    }),
  }),
  /** Of logs written before crops were files: the best of a visit, best first. */
  "visit.recognised": z.strictObject({
    biometric: z.strictObject({ crops: z.array(base64).max(3) }),
  }),
  /** The key that opens the object, and the SHA-256 of what is in it; so for a crop. */
  "media.captured": z.strictObject({ media: z.strictObject({ digest: hashSchema, key: base64 }) }),
  "crop.captured": z.strictObject({
    biometric: z.strictObject({ digest: hashSchema, key: base64 }),
  }),
  "crop.enrolled": z.strictObject({
    biometric: z.strictObject({ digest: hashSchema, key: base64 }),
  }),
} as const;

export type PersonalType = keyof typeof ENTRY_PERSONAL;
export type EntryPersonal<T extends EntryType> = T extends PersonalType
  ? z.infer<(typeof ENTRY_PERSONAL)[T]>
  : never;

/**
 * An entry is at most this large, sealed content included: three crops of nothing but noise, as they
 * once stood in one, are 830 kB. A message to the centre has 1 MiB.
 */
export const ENTRY_BYTES_MAX = 896 * 1024;

/** Who caused a fact: the device, or a user there or in the centre. */
export const ACTOR = /^(device|(cli|central):[^\s:\p{Cc}]{1,64})$/u;

/**
 * One fact, as it is written down and hashed (`hash` itself stands outside).
 *
 *     {"actor":…,"at":…,"clock":…,"data":{…},"log":…,"monotonicMs":…,
 *      "sealed":{"<class>":"<base64>"}|null,"seq":…,"subject":…|null,"type":…}
 */
export const entrySchema = z.strictObject({
  actor: z.string().regex(ACTOR),
  /** Device wall clock, ms since the epoch. Order is by `seq`, never by time. */
  at: z.int(),
  clock: z.enum(["synced", "unsynced"]),
  data: z.record(z.string(), z.unknown()),
  log: z.uuid().lowercase(),
  /** CLOCK_MONOTONIC of the boot named by the last `daemon.started`, ms. */
  monotonicMs: z.int().min(0),
  sealed: z.partialRecord(z.enum(PERSONAL_CLASSES), base64).nullable(),
  seq: z.int().min(1),
  subject: subjectSchema.nullable(),
  type: z.string().regex(/^[a-z]+(\.[a-z]+)+$/),
});
export type Entry = z.infer<typeof entrySchema>;

/** An entry of a known type, its data checked. */
export type EntryOf<T extends EntryType> = Omit<Entry, "type" | "data"> & {
  readonly type: T;
  readonly data: EntryData<T>;
};
export type KnownEntry = { [T in EntryType]: EntryOf<T> }[EntryType];

export function isEntryType(type: string): type is EntryType {
  return Object.hasOwn(ENTRY_DATA, type);
}

/** Checks the data of an entry against its type; null for a type this version does not know. */
export function knownEntry(entry: Entry): KnownEntry | null {
  if (!isEntryType(entry.type)) return null;
  const data = ENTRY_DATA[entry.type].parse(entry.data);
  // The schema of `type` has just produced `data`: the pair belongs together.
  return { ...entry, type: entry.type, data } as KnownEntry;
}

/** Reads the canonical bytes of an entry back into one. */
export function parseEntry(body: string): Entry {
  return entrySchema.parse(JSON.parse(body));
}

/**
 * How the canonical bytes of an entry of this type end: `type` is the last of their sorted members,
 * where no text inside `data` can imitate it.
 */
export function bodyEnding(type: EntryType): string {
  return `"type":"${type}"}`;
}
