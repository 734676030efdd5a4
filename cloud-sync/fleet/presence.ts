/**
 * Device presence: the last status that each device reported, kept where every program can see it.
 */
import { z } from "zod";
import { createBoundary } from "../../shared/core/boundary.ts";
import { PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import { pause } from "../../shared/core/retry.ts";
import { decodeMessage, statusSchema } from "../../shared/protocol/wire.ts";
import type { Database } from "../postgres/database.ts";

export interface Presence {
  readonly device: string;
  readonly online: boolean;
  /** When it was reported, by our clock. */
  readonly toldAt: Date;
  /** Entries it holds that are not acknowledged; null when it was offline. */
  readonly lag: number | null;
  /** Why it sends no more of its log, or null. */
  readonly halted: string | null;
  readonly version: string;
}

export interface PresenceBook {
  /** A message of a `status` topic. */
  hear(device: string, payload: Buffer): void;
  /** Writes reported statuses to the database at intervals, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Statuses that were not understood, or that the database refused. */
  failures(): number;
}

export interface PresenceOptions {
  readonly database: Pick<Database, "query">;
  readonly now: () => number;
  readonly logger: Logger;
}

/** A device reports its status once a second while it changes; the table is written less often. */
const WRITE_EVERY_MS = 2_000;
/** Each is one device: as many as a centre may have. */
const HEARD_MAX = 100_000;

const UPSERT = `INSERT INTO device_status (device, online, told_at, lag, halted, version)
  SELECT * FROM unnest($1::uuid[], $2::boolean[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[])
  ON CONFLICT (device) DO UPDATE SET online = excluded.online, told_at = excluded.told_at,
    lag = excluded.lag, halted = excluded.halted, version = excluded.version
  WHERE device_status.told_at <= excluded.told_at`;
const LIST = `SELECT device, online, told_at, lag, halted, version FROM device_status
  ORDER BY device`;

const rows = z.array(
  z
    .object({
      device: z.string(),
      online: z.boolean(),
      told_at: z.date(),
      lag: z.bigint().transform(Number).nullable(),
      halted: z.string().nullable(),
      version: z.string(),
    })
    .transform(({ told_at: toldAt, ...row }): Presence => ({ ...row, toldAt })),
);

export async function listPresence(
  database: Pick<Database, "query">,
): Promise<readonly Presence[]> {
  return rows.parse(await database.query(LIST));
}

export function createPresenceBook({ database, now, logger }: PresenceOptions): PresenceBook {
  const heard = new Map<string, Presence>();
  const statuses = createBoundary("status", logger);
  const upsert = (news: readonly Presence[]) =>
    database.query(UPSERT, [
      news.map(({ device }) => device),
      news.map(({ online }) => online),
      news.map(({ toldAt }) => toldAt),
      news.map(({ lag }) => lag),
      news.map(({ halted }) => halted),
      news.map(({ version }) => version),
    ]);
  /** What the database refuses of one device is not written; the others' is. */
  const write = async (): Promise<void> => {
    const news = [...heard.values()];
    if (news.length === 0) return;
    try {
      await upsert(news);
    } catch (error) {
      // The next status replaces it: nothing is lost.
      if (error instanceof PorchlightError) return;
      for (const each of news) await statuses.eachAsync(each.device, () => upsert([each]));
    }
    for (const each of news) if (heard.get(each.device) === each) heard.delete(each.device);
  };
  return {
    hear(device, payload) {
      statuses.each(device, () => {
        const status = decodeMessage(statusSchema, payload);
        const { version } = status;
        const online = status.state === "online";
        if (heard.size >= HEARD_MAX && !heard.has(device)) return;
        const [lag, halted] = online ? [status.lag, status.halted] : [null, null];
        heard.set(device, { device, online, toldAt: new Date(now()), lag, halted, version });
      });
    },
    async run(signal) {
      while (!signal.aborted) {
        await pause(WRITE_EVERY_MS, signal);
        await write();
      }
    },
    failures: statuses.failures,
  };
}
