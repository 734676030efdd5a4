/** What each type of entry means to the read models: pure, rows out of entries. */
import { z } from "zod";
import { type Body, momentOf, type Projected } from "../support/decode-entries.ts";
import type { PartName, Row } from "./schema.ts";

export interface RowOf {
  readonly part: PartName;
  readonly row: Row;
}

const uuid = z.uuid().lowercase();
const whole = z.int().min(0);
const outcome = z.string().max(32);
const schemas = {
  started: z.object({
    boot: z.string(),
    version: z.string(),
    pack: z.object({ name: z.string(), version: z.string() }),
  }),
  pack: z.object({ name: z.string(), version: z.string() }),
  anomaly: z.object({ kind: z.string().optional() }),
  shed: z.object({ count: whole }),
  erased: z.object({ reason: z.string() }),
  template: z.object({
    template: uuid,
    pack: z.string(),
    dimension: z.int().min(1),
    quality: z.number(),
    source: z.string(),
  }),
  templateRemoved: z.object({ template: uuid }),
  visitStarted: z.object({ visit: uuid, camera: z.string() }),
  visitDecided: z.object({
    visit: uuid,
    revision: z.int().min(1),
    decision: z.object({
      outcome,
      person: uuid.nullable(),
      score: z.number().nullable(),
      margin: z.number().nullable(),
      pack: z.string(),
    }),
  }),
  visitEnded: z.object({
    visit: uuid,
    outcome,
    reason: z.string(),
    durationMs: whole.nullable(),
    frames: whole.nullable(),
  }),
  media: z.object({
    media: uuid,
    visit: uuid.nullable(),
    kind: z.string(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    bytes: whole,
    widthPx: whole.nullish(),
    heightPx: whole.nullish(),
  }),
  subject: uuid,
} as const;

/** Sampled once a minute by every device, and no fact that anybody would look up. */
const NOT_AUDITED = new Set(["telemetry.sampled"]);
/** The rows of one entry. Throws a ZodError when its data does not fit. */
export function rowsOf(entry: Projected, body: Body | null): readonly RowOf[] {
  const seen = deviceRow(entry, body);
  if (body === null || entry.type === null) return [seen];
  return [seen, ...(PROJECTIONS[entry.type]?.(entry, body) ?? []), ...auditRow(entry)];
}

function deviceRow(entry: Projected, body: Body | null): RowOf {
  const { device, log, seq, hash, position } = entry;
  const at = entry.at === null ? null : momentOf(entry);
  const received = entry.receivedAt.toISOString();
  const head = { log, seq, hash, last_position: String(position) };
  const seen = { first_seen: received, last_seen: received, last_at: at };
  return { part: "device", row: { device, ...head, ...seen, clock: body?.clock ?? null } };
}

function auditRow(entry: Projected): readonly RowOf[] {
  const { log, seq, device, type, actor, subject, position } = entry;
  if (type === null || NOT_AUDITED.has(type)) return [];
  const times = { at: momentOf(entry), received_at: entry.receivedAt.toISOString() };
  const row = { position: String(position), log, seq, device, type, actor, subject, ...times };
  return [{ part: "audit", row }];
}

type Projection = (entry: Projected, body: Body) => readonly RowOf[];

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
    return [{ part: "visitDecided", row }];
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

function anomalyRow(entry: Projected, kind: string | null, entries: number | null): RowOf {
  const { position, device, type } = entry;
  const at = momentOf(entry);
  return { part: "anomaly", row: { position: String(position), device, type, kind, at, entries } };
}

/** As it is sealed: the centre has no key of it, unless a site released one. */
function profileRow(entry: Projected, { sealed }: Body): readonly RowOf[] {
  const profile = sealed?.["profile"];
  if (profile === undefined) return [];
  const subject = schemas.subject.parse(entry.subject);
  const { device, log, seq, type, position } = entry;
  const place = { profile_log: log, profile_seq: seq, profile_type: type };
  const row = { subject, device, profile, ...place, profile_position: String(position) };
  return [{ part: "profile", row }];
}

/** How much later than its device said; a clock that runs ahead has none. */
function delayMs({ at, receivedAt }: Projected): number {
  return Math.max(0, receivedAt.getTime() - (at ?? 0));
}
