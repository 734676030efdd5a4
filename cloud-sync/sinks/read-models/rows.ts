/** What each type of entry means to the read models: pure, rows out of entries. */
import { z } from "zod";
import type { StoredEntry } from "../../log/event-log.ts";
import { type Body, momentOf, type Projected, textColumn } from "../support/decode-entries.ts";
import type { PartName, Row } from "./upsert.ts";

export interface RowOf {
  readonly part: PartName;
  readonly row: Row;
}

const uuid = z.uuid().lowercase();
const whole = z.int().min(0);
const text = textColumn;
const outcome = z.string().max(32);
const schemas = {
  started: z.object({
    boot: text,
    version: text,
    pack: z.object({ name: text, version: text }),
  }),
  pack: z.object({ name: text, version: text }),
  anomaly: z.object({ kind: text.optional() }),
  shed: z.object({ count: whole }),
  /** Whatever is said about it: an erasure is done. */
  erased: z.object({ reason: text.catch("unknown") }),
  linked: z.object({ visit: uuid, person: uuid }),
  template: z.object({
    template: uuid,
    pack: text,
    dimension: z.int().min(1),
    quality: z.number(),
    source: text,
  }),
  templateRemoved: z.object({ template: uuid }),
  visitStarted: z.object({ visit: uuid, camera: text }),
  visitDecided: z.object({
    visit: uuid,
    revision: z.int().min(1),
    decision: z.object({
      outcome,
      person: uuid.nullable(),
      score: z.number().nullable(),
      margin: z.number().nullable(),
      pack: text,
    }),
  }),
  visitEnded: z.object({
    visit: uuid,
    outcome,
    reason: text,
    durationMs: whole.nullable(),
    frames: whole.nullable(),
  }),
  media: z.object({
    media: uuid,
    visit: uuid.nullable(),
    kind: text,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    bytes: whole,
    widthPx: whole.nullish(),
    heightPx: whole.nullish(),
  }),
  subject: uuid,
} as const;

/** Sampled once a minute by every device, and no fact that anybody would look up. */
const NOT_AUDITED = new Set(["telemetry.sampled"]);
/** The rows of one entry, besides its device's. Throws a ZodError when its data does not fit. */
export function rowsOf(projected: Projected, body: Body | null): readonly RowOf[] {
  const { type } = projected.entry;
  if (body === null || type === null) return [];
  return PROJECTIONS[type]?.({ ...projected.entry, device: projected.device }, body) ?? [];
}

/** What a device's last entry says of it, and its first one in a batch. */
export function deviceRow({ entry, device }: Projected, clock: Body["clock"] | null): RowOf {
  const { log, seq, hash, position } = entry;
  const received = entry.receivedAt.toISOString();
  const seen = { first_seen: received, last_seen: received };
  const last = { log, seq, hash, last_at: entry.at === null ? null : momentOf(entry), clock };
  return { part: "device", row: { device, ...seen, ...last, last_position: String(position) } };
}

/** A line of COPY for the audit trail; null where nobody would look an entry up. */
export function auditLine({ entry, device }: Projected): string | null {
  const { log, seq, type, actor, subject, position, receivedAt } = entry;
  if (type === null || NOT_AUDITED.has(type)) return null;
  const times = [momentOf(entry), receivedAt.toISOString()];
  const about = [copyText(type), copyText(actor ?? ""), subject ?? "\\N"];
  return `${[position, log, seq, device, ...about, ...times].join("\t")}\n`;
}

function copyText(text: string): string {
  return text.replace(/[\\\b\f\n\r\t\v]/g, (character) => `\\x${hexOf(character)}`);
}

function hexOf(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, "0");
}

type Entry = StoredEntry & { readonly device: string };
type Projection = (entry: Entry, body: Body) => readonly RowOf[];

const PROJECTIONS: Readonly<Record<string, Projection>> = {
  "daemon.started"({ device, position }, { data }) {
    const { version, boot, pack } = schemas.started.parse(data);
    const row = { device, version, boot, started_position: String(position) };
    return [{ part: "started", row }, packRow(device, position, pack)];
  },
  "model.activated": ({ device, position }, { data }) => [
    packRow(device, position, schemas.pack.parse(data)),
  ],
  "anomaly.detected"(entry, { data }) {
    const { kind } = schemas.anomaly.parse(data);
    return [anomalyRow(entry, kind ?? null, null)];
  },
  "buffer.shed": (entry, { data }) => [anomalyRow(entry, null, schemas.shed.parse(data).count)],
  "person.enrolled"(entry, body) {
    const subject = schemas.subject.parse(entry.subject);
    const row = { subject, device: entry.device, enrolled_at: momentOf(entry) };
    const enrolled_position = String(entry.position);
    return [{ part: "enrolled", row: { ...row, enrolled_position } }, ...profileRow(entry, body)];
  },
  "person.renamed": profileRow,
  "person.erased"(entry, { data }) {
    const { reason } = schemas.erased.parse(data);
    const subject = schemas.subject.parse(entry.subject);
    const row = {
      subject,
      device: entry.device,
      erased_at: momentOf(entry),
      erased_reason: reason,
    };
    return [{ part: "erased", row: { ...row, erased_position: String(entry.position) } }];
  },
  "template.added"(entry, { data }) {
    const subject = schemas.subject.parse(entry.subject);
    const template = schemas.template.parse(data);
    const added = { added_at: momentOf(entry), added_position: String(entry.position) };
    return [{ part: "template", row: { ...template, subject, device: entry.device, ...added } }];
  },
  "template.removed"(entry, { data }) {
    const subject = schemas.subject.parse(entry.subject);
    const { template } = schemas.templateRemoved.parse(data);
    const removed = { removed_at: momentOf(entry), removed_position: String(entry.position) };
    const row = { template, subject, device: entry.device, ...removed };
    return [{ part: "templateRemoved", row }];
  },
  "visit.started"(entry, { clock, data }) {
    const { visit, camera } = schemas.visitStarted.parse(data);
    const row = { visit, device: entry.device, camera, clock, started_at: momentOf(entry) };
    const received_at = entry.receivedAt.toISOString();
    const started_position = String(entry.position);
    const delay_ms = clock === "synced" ? delayMs(entry) : null;
    const times = { received_at, delay_ms, started_position };
    return [{ part: "visitStarted", row: { ...row, ...times } }];
  },
  "visit.recognised"(entry, { data }) {
    const { visit, revision, decision } = schemas.visitDecided.parse(data);
    const decided = { decided_at: momentOf(entry), decided_position: String(entry.position) };
    const row = { visit, device: entry.device, revision, ...decision, ...decided };
    const { person } = decision;
    const link = person === null ? [] : [linkRow(entry.device, person, visit)];
    return [{ part: "visitDecided", row }, ...link];
  },
  "visit.linked"({ device }, { data }) {
    const { visit, person } = schemas.linked.parse(data);
    return [linkRow(device, person, visit)];
  },
  "visit.ended"(entry, { data }) {
    const { visit, reason, frames, ...end } = schemas.visitEnded.parse(data);
    const row = { visit, device: entry.device, ended_at: momentOf(entry), reason, frames };
    const ended = { end_outcome: end.outcome, duration_ms: end.durationMs };
    const ended_position = String(entry.position);
    return [{ part: "visitEnded", row: { ...row, ...ended, ended_position } }];
  },
  "media.captured"(entry, { data }) {
    const { media, visit, kind, sha256, bytes, ...size } = schemas.media.parse(data);
    const { device, subject, log, seq } = entry;
    const row = { media, device, subject, visit, kind, sha256, bytes, log, seq };
    const pixels = { width_px: size.widthPx ?? null, height_px: size.heightPx ?? null };
    const captured = {
      captured_at: momentOf(entry),
      captured_position: String(entry.position),
    };
    return [{ part: "media", row: { ...row, ...pixels, ...captured } }];
  },
};

function packRow(device: string, position: bigint, pack: z.infer<typeof schemas.pack>): RowOf {
  const name = `${pack.name}@${pack.version}`;
  return { part: "pack", row: { device, pack: name, pack_position: String(position) } };
}

/** Any decision counts, not the last alone: what was kept for it may show whom it names. */
function linkRow(device: string, person: string, visit: string): RowOf {
  return { part: "link", row: { device, person, visit } };
}

function anomalyRow(entry: Entry, kind: string | null, entries: number | null): RowOf {
  const { position, device, type } = entry;
  const at = momentOf(entry);
  return { part: "anomaly", row: { position: String(position), device, type, kind, at, entries } };
}

/** As it is sealed: the centre has no key of it, unless a site released one. */
function profileRow(entry: Entry, { sealed }: Body): readonly RowOf[] {
  const profile = sealed?.["profile"];
  if (profile === undefined) return [];
  const subject = schemas.subject.parse(entry.subject);
  const { device, log, seq, type, position } = entry;
  const place = { profile_log: log, profile_seq: seq, profile_type: type };
  const row = { subject, device, profile, ...place, profile_position: String(position) };
  return [{ part: "profile", row }];
}

/** How much later than its device said; a clock that runs ahead has none. */
function delayMs({ at, receivedAt }: Entry): number {
  return Math.max(0, receivedAt.getTime() - (at ?? 0));
}
