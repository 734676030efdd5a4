/**
 * Feeds a projection in our own PostgreSQL from the log. Each step is one transaction that begins at
 * the fence (fence.ts), so there is no heartbeat and no second truth about how far it has come.
 */
import type { Clock } from "../../../shared/core/clock.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import type { Logger } from "../../../shared/core/logger.ts";
import { pause } from "../../../shared/core/retry.ts";
import type { CentralLog, EntryPage, StoredEntry } from "../../log/event-log.ts";
import type { LogPages } from "../../log/pages.ts";
import type { Database } from "../../postgres/database.ts";
import type { AnyProjection, Pending } from "../projection.ts";
import { type RejectedEntry, withEntries } from "../sink.ts";
import { type Builds, createBuilds, type Track } from "./builds.ts";
import { Condition, type ConditionOptions, type SinkRunner } from "./condition.ts";
import { createSinkCursor, type Held, LEASE_MS, type SinkCursor, sinkLost } from "./cursors.ts";
import { createFence, type Fence } from "./fence.ts";
import { addRejects, removeRejects } from "./rejects.ts";

export interface ProjectorOptions extends Omit<ConditionOptions, "cursor"> {
  readonly projection: AnyProjection;
  readonly database: Database;
  readonly pages: LogPages;
  readonly log: Pick<CentralLog, "readAt" | "lastPosition">;
  /** Who runs it, among several centres on one database. */
  readonly instance: string;
  readonly clock: Clock;
  /** Whether ingest has all hands full: a projection gives way to it, for a while. */
  readonly busy?: () => boolean;
}

/** Entries as they are read and checked, to be written. */
interface Batch extends EntryPage {
  readonly pending: Pending;
}

/** What a commit costs by itself is shared by so many: 2,000 of 500 bytes are 1 MB. */
const BATCH_ENTRIES = 2_000;
/** Rejects retried in one go. */
const RETRIED = 10;
/** What was built is level when it lacks no more of the log than this. */
const LEVEL_ENTRIES = 5_000n;
const MAINTAIN_EVERY_MS = 60_000;
const GIVE_WAY_MS = 50;
/** A burst is over by then; under a load that goes on, a projection has its share until it is level. */
const GIVE_WAY_MS_MAX = 10_000;

const MOVE = `UPDATE sink_cursors SET position = CASE WHEN sink = $2 THEN $3 ELSE position END,
    written = CASE WHEN sink = $2 THEN written + $4 ELSE written END,
    moved_at = CASE WHEN sink = $2 THEN now() ELSE moved_at END,
    held_until = CASE WHEN sink = $1 THEN clock_timestamp() + interval '${LEASE_MS} milliseconds'
      ELSE held_until END
  WHERE sink IN ($1, $2)`;
const WRITTEN = "UPDATE sink_cursors SET written = written + $2 WHERE sink = $1";

export function createProjector(options: ProjectorOptions): SinkRunner {
  const projector = new Projector(options);
  return { run: (signal) => projector.run(signal), stats: () => projector.condition.stats() };
}

class Projector {
  readonly condition: Condition;
  readonly #projection: AnyProjection;
  readonly #options: ProjectorOptions;
  readonly #logger: Logger;
  readonly #cursor: SinkCursor;
  readonly #fence: Fence;
  readonly #builds: Builds;
  /** Null: not known, and to be asked of the database. */
  #tracks: readonly Track[] | null = null;
  #held: Held | null = null;
  /** The batch after the one that is being written. */
  #ahead: { readonly key: string; readonly batch: Promise<Batch> } | null = null;
  #maintainedMs = Number.NEGATIVE_INFINITY;
  #idledMs = Number.NEGATIVE_INFINITY;
  /** Since it was level. */
  #gaveWayMs = 0;

  constructor(options: ProjectorOptions) {
    const { projection, database, instance } = options;
    this.#options = options;
    this.#projection = projection;
    this.#logger = options.logger.with({ sink: projection.name });
    this.#cursor = createSinkCursor(database, projection.name, instance);
    const condition = { ...options, logger: this.#logger, cursor: this.#cursor };
    this.condition = new Condition(projection.name, condition);
    const fence = { database, sink: projection.name, instance };
    // What has no tables of its own changes others', which are replayed from nowhere.
    this.#fence = createFence({ ...fence, durable: projection.schema === null });
    this.#builds = createBuilds(database, projection, this.#fence);
  }

  async run(signal: AbortSignal): Promise<void> {
    for (; !signal.aborted; await pause(this.condition.lookEveryMs, signal)) {
      await this.#hold();
      if (this.#held === null) continue;
      this.#tracks = null;
      this.condition.leading = true;
      while (!signal.aborted && (await this.#iterate(signal)));
      this.condition.leading = false;
      await this.condition.bestEffort(() => this.#cursor.release());
    }
  }

  async #hold(): Promise<void> {
    this.#held = null;
    await this.condition.bestEffort(async () => {
      this.#held = await this.#cursor.hold();
    });
  }

  /** One thing: open, write a batch to each of its tracks, idle work, or wait. False: another's. */
  async #iterate(signal: AbortSignal): Promise<boolean> {
    const waitMs = this.condition.waitMs() || this.#givesWayMs();
    if (waitMs > 0) {
      await pause(waitMs, signal);
      return true;
    }
    try {
      this.#tracks ??= await this.#open(signal);
      let moved = false;
      for (const track of this.#tracks) moved = (await this.#advance(track, signal)) || moved;
      moved = (await this.#swap(signal)) || moved;
      if (!moved) this.#gaveWayMs = 0;
      // Under a steady load nothing is ever level: keys that were taken back are not to wait for it.
      if (!moved || this.#due(this.condition.lookEveryMs))
        moved = (await this.#idle(signal)) || moved;
      await this.condition.succeeded();
      if (moved) return true;
    } catch (error) {
      this.#tracks = null;
      if (signal.aborted) return false;
      if (error instanceof PorchlightError && error.code === "sink.lost") return false;
      await this.condition.failed(error);
      return true;
    }
    await pause(this.condition.lookEveryMs, signal);
    return true;
  }

  #givesWayMs(): number {
    if (this.#gaveWayMs >= GIVE_WAY_MS_MAX || this.#options.busy?.() !== true) return 0;
    this.#gaveWayMs += GIVE_WAY_MS;
    return GIVE_WAY_MS;
  }

  async #open(signal: AbortSignal): Promise<readonly Track[]> {
    this.#ahead = null;
    const held = await this.#cursor.hold();
    if (held === null) throw sinkLost(this.#projection.name);
    this.#held = held;
    const tracks = await this.#builds.open(held, signal);
    if (tracks.some(({ position }) => position === 0n)) this.#options.pages.refresh();
    if (tracks.at(-1)?.cursor !== this.#projection.name) {
      const from = String(tracks.at(-1)?.position ?? 0n);
      this.#logger.info("sink is built anew beside the tables that are served", { from });
    }
    this.condition.position = tracks[0]?.position ?? 0n;
    return tracks;
  }

  async #advance(track: Track, signal: AbortSignal): Promise<boolean> {
    const key = `${track.cursor} ${track.position}`;
    const ahead = this.#ahead?.key === key ? this.#ahead.batch : null;
    // Once: read at the end of the log, it is empty, and would be for ever.
    this.#ahead = null;
    const batch = await (ahead ?? this.#read(track.position));
    const { upTo } = batch;
    if (upTo === null) return false;
    // The next one is read while this one is written; whoever fails says so when it is asked for.
    if (batch.entries.length === BATCH_ENTRIES) {
      const next = this.#read(upTo);
      next.catch(() => undefined);
      this.#ahead = { key: `${track.cursor} ${upTo}`, batch: next };
    }
    await this.#write(track, { ...batch, upTo }, signal);
    this.#moveTo(track, upTo);
    return true;
  }

  async #read(position: bigint): Promise<Batch> {
    const incomplete = this.#held?.incomplete ?? false;
    const request = { limit: BATCH_ENTRIES, types: this.#projection.types, incomplete };
    const page = await this.#options.pages.next(position, request);
    return { ...page, pending: await this.#projection.prepare(page.entries) };
  }

  /** Exactly once: where the cursor is not where this batch begins, another commit has moved it. */
  async #write(
    track: Track,
    { entries, upTo, pending }: Batch & { readonly upTo: bigint },
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = this.#projection;
    const done = await this.#fence.enter(
      track.cursor,
      async (connection, cursor) => {
        if (cursor.position !== track.position) throw sinkLost(name);
        const refused = await pending.write(connection, track.schema ?? "");
        const rejected = withEntries([...pending.rejected, ...refused], entries);
        const written = entries.length - rejected.length;
        await connection.query(MOVE, [name, track.cursor, upTo, written]);
        await addRejects(connection, track.cursor, rejected);
        return { written, rejected };
      },
      signal,
    );
    this.condition.count(done.written, done.rejected);
  }

  #moveTo(track: Track, position: bigint): void {
    this.#tracks = (this.#tracks ?? []).map((each) =>
      each.cursor === track.cursor ? { ...each, position } : each,
    );
    this.condition.position = this.#tracks[0]?.position ?? 0n;
  }

  /** Serves what was built once it is level, its keys followed as well. */
  async #swap(signal: AbortSignal): Promise<boolean> {
    const built = this.#tracks?.at(-1);
    if (built === undefined || built.cursor === this.#projection.name) return false;
    const served = this.#tracks?.length === 2 ? (this.#tracks[0]?.position ?? 0n) : 0n;
    const head = await this.#options.log.lastPosition();
    if (built.position < served || head - built.position > LEVEL_ENTRIES) return false;
    while (await this.#catchUp(built, signal));
    await this.#builds.swap(built, signal);
    this.#logger.info("sink was built anew: its tables are served now");
    this.#tracks = null;
    return true;
  }

  #due(everyMs: number): boolean {
    return this.#options.clock.monotonicMs() - this.#idledMs >= everyMs;
  }

  /** When no entry waits, and twice a second: what a person asked for, keys that came or went, retention. */
  async #idle(signal: AbortSignal): Promise<boolean> {
    this.#idledMs = this.#options.clock.monotonicMs();
    const held = await this.#cursor.hold();
    if (held === null) throw sinkLost(this.#projection.name);
    const [track] = this.#tracks ?? [];
    if (held.resetAsked !== this.#held?.resetAsked || track === undefined) {
      this.#tracks = null;
      return true;
    }
    this.#held = held;
    if (held.again) return this.#retryRejects(track, signal);
    if (await this.#catchUp(track, signal)) return true;
    return this.#maintain(track, signal);
  }

  async #catchUp(track: Track, signal: AbortSignal): Promise<boolean> {
    const fenced = this.#fence.fenced(track.cursor, signal);
    return (await this.#projection.catchUp?.(track.schema ?? "", fenced, signal)) ?? false;
  }

  /** Rejects, one by one: each was rejected once, and may be again. */
  async #retryRejects(track: Track, signal: AbortSignal): Promise<boolean> {
    for (const place of await this.#cursor.again(RETRIED)) {
      const entries = await this.#options.log.readAt([place]);
      const pending = await this.#projection.prepare(entries);
      const rejected = await this.#fence.enter(
        track.cursor,
        async (connection) => {
          const refused = await pending.write(connection, track.schema ?? "");
          const again = withEntries([...pending.rejected, ...refused], entries);
          if (again.length === 0) await removeRejects(connection, track.cursor, [place]);
          const written = again.length === 0 ? entries.length : 0;
          await connection.query(WRITTEN, [track.cursor, written]);
          await addRejects(connection, track.cursor, again);
          return again;
        },
        signal,
      );
      this.#counted(entries, rejected);
    }
    return true;
  }

  #counted(entries: readonly StoredEntry[], rejected: readonly RejectedEntry[]): void {
    if (rejected.length === 0) this.condition.count(entries.length, []);
  }

  /** Whether it was time for it. What fails is tried again in a minute, and not in a loop. */
  async #maintain(track: Track, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    if (this.#projection.maintain === undefined) return false;
    if (clock.monotonicMs() - this.#maintainedMs < MAINTAIN_EVERY_MS) return false;
    this.#maintainedMs = clock.monotonicMs();
    const fenced = this.#fence.fenced(track.cursor, signal);
    await this.#projection.maintain(track.schema ?? "", fenced, signal);
    return true;
  }
}
