/** Puts the two files of a store together: log, keyring, and the projections that follow the log. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import { type KnownEntry, knownEntry, parseEntry } from "../../shared/log/entry.ts";
import { diskFull, isDiskFull } from "../host/disk-full.ts";
import { createEventLog, type EventLog } from "../log/event-log.ts";
import { createKeyOutbox } from "../log/key-outbox.ts";
import { createLiveNotifier } from "../log/live-messages.ts";
import { createLiveOutbox } from "../log/live-outbox.ts";
import { type LogOptions, logPath, openLogDatabase } from "../log/open-log.ts";
import { createLogReader, type LogReader } from "../log/reader.ts";
import { createRetention, isSheddable, type Retention } from "../log/retention.ts";
import { createMediaFiles, type MediaFiles, mediaFolder } from "../media/media-files.ts";
import { type Database, dataVersion, truncateWal } from "../sqlite/database.ts";
import { createDiskReserve, type DiskReserve } from "../sqlite/disk-reserve.ts";
import { storeFailure } from "../sqlite/failure.ts";
import { protectCopy } from "../sqlite/read-only-copy.ts";
import { createAges } from "../vault/ages.ts";
import { type Crops, createCrops } from "../vault/crops.ts";
import { createErasure, createSubjectEraser } from "../vault/erasure.ts";
import { createGallery, type Gallery } from "../vault/gallery.ts";
import { createKeyring, type Keyring } from "../vault/keyring.ts";
import { createLatest, type Latest } from "../vault/latest-entries.ts";
import { createLinks, type Links } from "../vault/links.ts";
import { createMedia, type Media } from "../vault/media.ts";
import { openVaultDatabase, type VaultOptions, vaultPath } from "../vault/open-vault.ts";
import { createProjectionRunner, type ProjectionSource } from "../vault/projection-runner.ts";
import { createVisits, type Visits } from "../vault/visits.ts";
import { type ConditionalAppend, conditionalAppend } from "./conditional-append.ts";
import { refuseUnfinished } from "./create-store.ts";
import { createErasing, type Erasing } from "./erasing.ts";
import { createExpiry, type Expiry } from "./expiry.ts";
import { createRelease, type Release } from "./key-release.ts";

export interface StoreOptions extends LogOptions, VaultOptions {
  /** Called with an entry that the vault cannot apply: it is skipped, and stays in the log. */
  readonly passedOver?: (seq: number, reason: unknown) => void;
  /** Whether live notifications may hold names (`sync.live.names`). */
  readonly liveNames?: boolean;
}

export interface Store {
  readonly log: EventLog;
  readonly keyring: Keyring;
  readonly gallery: Gallery;
  readonly visits: Visits;
  readonly latest: Latest;
  readonly media: Media;
  readonly crops: Crops;
  readonly links: Pick<Links, "visitsOf">;
  /** What is not gone yet of those who were erased. */
  readonly erasing: Erasing;
  /** Their sealed files. */
  readonly mediaFiles: MediaFiles;
  /**
   * Appends, and returns when the projections have applied it (read-your-writes). On a full disk
   * the reserve is released for it, not for telemetry; throws `disk.full` when that is gone.
   */
  append(drafts: readonly AnyDraft[]): readonly Cursor[];
  /** The same for drafts that rest on what was known at a place of the log. */
  readonly appendUnlessSince: ConditionalAppend;
  /** Sheds what the policy allows when log.db is over its budget. */
  readonly retention: Retention;
  /** Lets the pictures of visits fade with their age. */
  readonly expiry: Expiry;
  /** Room on the disk for what matters, once everything else is full. */
  readonly reserve: DiskReserve;
  /** Wraps newly released keys into the outbox, and revokes those that are released no longer. */
  readonly release: Release;
  /** Drops expired live notifications. */
  pruneLive(): void;
  /** Follows what other processes have appended. Cheap when nothing has changed. */
  catchUp(): void;
  /** Rebuilds gallery, people and visits from the log. */
  rebuild(): void;
  /** How far the vault has followed the log. */
  followed(): Cursor;
  close(): void;
}

/** Frames wait meanwhile: whoever erases waits longer, by a call of their own. */
const FOLLOWING_WAIT_MS = 100;

/** Opens both files and follows the log to its head before anything is served. */
export function openStore(options: StoreOptions): Store {
  const { folder, newId, clock } = options;
  refuseUnfinished(folder);
  const reserve = createDiskReserve({ path: join(folder, "reserve"), randomBytes });
  const database = reserve.run(() => openLogDatabase(options, false));
  const vault = reserve.run(() => openVaultDatabase(options, false));
  const keyring = createKeyring(vault);
  const gallery = createGallery(vault, keyring);
  const announce = createLiveNotifier({ nameOf: namesOf(gallery, options) });
  const log = createEventLog({ database, keyring, announce, ...options });
  const live = createLiveOutbox(database, clock);
  const released = createKeyOutbox(database, clock);
  const ages = createAges({ vault, ...options });
  const retention = createRetention({ database, log, clock, olderThan: ages.olderThan });
  const visits = createVisits(vault);
  const latest = createLatest(vault);
  const mediaFiles = createMediaFiles({ folder: mediaFolder(folder), newId });
  const media = createMedia({ vault, files: mediaFiles });
  const crops = createCrops({ vault, files: mediaFiles });
  const eraser = createSubjectEraser(vault, keyring);
  const links = createLinks(vault, eraser);
  const erasing = createErasing({
    ...{ log: database, vault, eraser, links, keyring, live, released },
    logPath: logPath(folder),
    vaultPath: vaultPath(folder),
  });
  const finishErasing = () => erasing.finish(FOLLOWING_WAIT_MS);
  const erasure = createErasure({ eraser, links, finish: finishErasing });
  const source = sourceOf(log, createLogReader(database), options.passedOver);
  const projections = [links, erasure, gallery, visits, latest, media, crops, ages];
  const runner = createProjectionRunner(vault, source, projections);
  const { follow, catchUp } = createFollower(database, () => reserve.run(runner.catchUp));
  const append = createAppend(log, reserve, follow);
  const close = (): void => {
    vault.close();
    database.close();
  };
  try {
    truncateWal(vault, FOLLOWING_WAIT_MS);
    catchUp();
    finishErasing();
    for (const each of [database, vault]) protectCopy(each);
  } catch (error) {
    close();
    throw error;
  }
  return {
    log,
    keyring,
    gallery,
    visits,
    latest,
    media,
    crops,
    links,
    erasing,
    mediaFiles,
    retention: followed(retention, reserve, follow),
    expiry: createExpiry({ vault, ages, append }),
    reserve,
    release: createRelease({ vault, keyring, rows: released }),
    pruneLive: live.prune,
    append,
    appendUnlessSince: conditionalAppend({ log, reserve, follow }),
    catchUp,
    rebuild: runner.rebuild,
    followed: runner.cursor,
    close,
  };
}

/** Where the owner has released names; else nobody has one. */
function namesOf(gallery: Pick<Gallery, "person">, { liveNames = false }: StoreOptions) {
  return (person: string) => (liveNames ? (gallery.person(person)?.name ?? null) : null);
}

function createAppend(log: EventLog, reserve: DiskReserve, follow: () => void): Store["append"] {
  return (drafts) => {
    const spare = drafts.every(({ type }) => isSheddable(type));
    try {
      const cursors = spare ? log.append(drafts) : reserve.run(() => log.append(drafts));
      follow();
      return cursors;
    } catch (error) {
      throw isDiskFull(error) ? diskFull(error) : error;
    }
  };
}

/** `catchUp` costs nothing where nothing was appended by others, and nothing is left to follow. */
function createFollower(database: Database, read: () => void) {
  let seen: number | null = null;
  // The log has it: on a full disk, or beside another writer, the vault reads it later.
  const follow = (): void => {
    try {
      read();
    } catch (error) {
      if (!isDiskFull(error) && storeFailure(error)?.remedy !== "retry") throw error;
      seen = null;
    }
  };
  const catchUp = (): void => {
    const version = dataVersion(database);
    if (version === seen) return;
    seen = version;
    follow();
  };
  return { follow, catchUp };
}

/** What it has shed is applied to the vault when it returns. */
function followed(retention: Retention, reserve: DiskReserve, follow: () => void): Retention {
  return {
    use: retention.use,
    step(...request) {
      const done = reserve.run(() => retention.step(...request));
      if (done === "shed") follow();
      return done;
    },
  };
}

/** Entries that this version cannot read are passed over, like emptied ones. */
function sourceOf(
  { head }: Pick<EventLog, "head">,
  reader: LogReader,
  passedOver: StoreOptions["passedOver"] = () => undefined,
): ProjectionSource<KnownEntry> {
  const read = (seq: number, body: string | null): KnownEntry | null => {
    try {
      return body === null ? null : knownEntry(parseEntry(body));
    } catch (reason) {
      if (!(reason instanceof z.ZodError) && !(reason instanceof SyntaxError)) throw reason;
      passedOver(seq, reason);
      return null;
    }
  };
  return {
    start: reader.start,
    head,
    count: reader.count,
    after: (place, limit) =>
      reader
        .after(place, limit)
        .entries.map(({ body, ...place }) => ({ ...place, entry: read(place.seq, body) })),
    passedOver,
  };
}
