/** Snapshots of visits: scaled down, sealed, stored in files, and then logged. */
import { createHash, randomBytes } from "node:crypto";
import { messageOf, PorchlightError } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import { SUBJECT_KEY_BYTES, sealObject } from "../../shared/log/seal.ts";
import { isDiskFull } from "../host/disk-full.ts";
import { jpegOfWidth, type SizedJpeg } from "../vision/image.ts";
import type { MediaConfig } from "./config.ts";
import type { MediaFiles } from "./media-files.ts";

export interface Shot {
  readonly visit: string;
  /** Whose picture it is: a person, or the visitor of this visit. */
  readonly subject: string;
  /** The frame as the camera gave it. */
  readonly image: Buffer;
}

export interface Snapshots {
  /** Does not wait: no decision is late for a picture. Throws what went wrong for no known reason. */
  take(shot: Shot): void;
  /** Resolves when everything that was taken is kept. */
  settle(): Promise<void>;
}

export interface SnapshotsOptions {
  readonly config: () => Pick<MediaConfig, "sizes" | "quality">;
  readonly files: Pick<MediaFiles, "write" | "remove">;
  /** Empty where the disk took nothing. */
  readonly append: (drafts: readonly AnyDraft[]) => readonly Cursor[];
  /** Whether there is room for what may be missing. */
  readonly hasRoom: () => boolean;
  readonly newId: () => string;
  readonly logger: Logger;
}

/** Frames that wait, of at most some MB each. One takes 100 ms; visits do not come so fast. */
const WAITING_MAX = 4;

export function createSnapshots(options: SnapshotsOptions): Snapshots {
  const { hasRoom, logger } = options;
  let waiting = 0;
  let working: Promise<void> = Promise.resolve();
  let failure: unknown;
  const work = async (shot: Shot): Promise<void> => {
    try {
      await keep(shot, options);
    } catch (error) {
      // The visit is in the log; only its picture is not.
      if (!(error instanceof PorchlightError) && !isDiskFull(error)) throw error;
      logger.warn("snapshot not stored", { visit: shot.visit, reason: messageOf(error) });
    } finally {
      waiting--;
    }
  };
  return {
    take(shot) {
      if (failure !== undefined) throw failure;
      if (waiting >= WAITING_MAX || !hasRoom()) {
        logger.warn("snapshot skipped", { visit: shot.visit, waiting });
        return;
      }
      waiting++;
      working = working
        .then(() => work(shot))
        .catch((error: unknown) => {
          failure ??= error;
        });
    },
    async settle() {
      await working;
      if (failure !== undefined) throw failure;
    },
  };
}

/** All sizes of a picture, and the entries that say so: together, or not at all. */
async function keep(shot: Shot, options: SnapshotsOptions): Promise<void> {
  const { files, append } = options;
  const written: string[] = [];
  let cursors: readonly Cursor[] = [];
  try {
    const drafts: AnyDraft[] = [];
    for (const picture of await sizesOf(shot.image, options.config())) {
      const media = options.newId();
      const key = randomBytes(SUBJECT_KEY_BYTES);
      const sealed = sealObject(key, media, picture.jpeg);
      const sha256 = await files.write(sealed);
      written.push(sha256);
      drafts.push(draftOf(shot, picture, { media, key, sha256, bytes: sealed.length }));
    }
    cursors = append(drafts);
  } finally {
    if (cursors.length === 0) for (const sha256 of written) files.remove(sha256);
  }
}

/** Largest first; a frame that is narrower than two of them is kept once. */
async function sizesOf(
  image: Buffer,
  { sizes, quality }: Pick<MediaConfig, "sizes" | "quality">,
): Promise<readonly SizedJpeg[]> {
  const pictures: SizedJpeg[] = [];
  for (const width of [...sizes].sort((a, b) => b - a)) {
    const picture = await jpegOfWidth(image, width, { quality });
    if (pictures.at(-1)?.width !== picture.width) pictures.push(picture);
  }
  return pictures;
}

interface SealedObject {
  readonly media: string;
  readonly key: Buffer;
  readonly sha256: string;
  readonly bytes: number;
}

function draftOf(
  { visit, subject }: Shot,
  { jpeg, width, height }: SizedJpeg,
  { media, key, sha256, bytes }: SealedObject,
): AnyDraft {
  const digest = createHash("sha256").update(jpeg).digest("hex");
  return {
    type: "media.captured",
    actor: "device",
    subject,
    data: { bytes, heightPx: height, kind: "snapshot", media, sha256, visit, widthPx: width },
    personal: { media: { digest, key: key.toString("base64") } },
  };
}
