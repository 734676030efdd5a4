import { availableParallelism } from "node:os";
import { invariant } from "../../shared/core/errors.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { Embedding } from "../../shared/log/embedding.ts";
import { fitSimilarity, invertSimilarity, type Similarity, warpChip } from "./align.ts";
import type { Provider } from "./config.ts";
import { coverageChip, hiddenReasons } from "./coverage.ts";
import { COVERAGE_SIDE, coverageNet } from "./coverage-net.ts";
import { createDetector } from "./detect.ts";
import type { Detection } from "./detection.ts";
import { embedChips } from "./embed.ts";
import { type EmbeddedFace, type Face, largestFirst, type RgbImage } from "./face.ts";
import { checkGolden, goldenChip } from "./golden.ts";
import { findLandmarks } from "./landmarks.ts";
import { identityOf, loadPack, type Pack, type PackIdentity } from "./pack.ts";
import { outside, type Polygon } from "./polygon.ts";
import { assess } from "./quality.ts";
import { createPyramid, type Pyramid } from "./resample.ts";
import { openSession, type Session, type SessionOptions } from "./session.ts";
import { fiveOf, templateOf } from "./templates.ts";

/** How long each stage of one picture took. */
export interface StageTimes {
  readonly detectMs: number;
  readonly landmarksMs?: number;
  readonly alignMs: number;
  readonly embedMs: number;
}

export interface Analysis {
  readonly faces: readonly EmbeddedFace[];
  /** Faces that were found and not embedded: more than were asked for. */
  readonly leftOut: number;
  readonly times: StageTimes;
}

/**
 * From a picture to faces and embeddings with the nets of one pack. Calls may overlap; they are
 * worked on one after the other, each net with all the threads.
 */
export interface Vision {
  readonly pack: PackIdentity;
  /** What really computes the nets. */
  readonly provider: Provider;
  /** The faces of a picture, surest first, usable or not. */
  detect(image: RgbImage): Promise<Face[]>;
  /** Unit-length embeddings of faces found in this picture, in their order. */
  embed(image: RgbImage, faces: readonly Face[]): Promise<Embedding[]>;
  /** Both in one go, of at most so many faces: usable ones first, then the widest. */
  analyse(image: RgbImage, facesMax?: number): Promise<Analysis>;
  close(): Promise<void>;
}

export interface VisionOptions {
  readonly packFolder: string;
  /** Threads of a net; what is left of the cores reads the camera and writes the log. */
  readonly threads?: number;
  readonly provider?: Provider;
  /** A face whose middle lies in one of these is none: a poster, a statue, the neighbour's door. */
  readonly ignore?: readonly Polygon[];
  readonly logger: Logger;
}

/** More threads than this only wait for each other on nets this small. */
const THREADS_MAX = 4;

/** Loads a pack, checks its files and its golden vector, and is ready to see. */
export async function openVision(options: VisionOptions): Promise<Vision> {
  const { packFolder, provider = "cpu", logger } = options;
  const threads = options.threads ?? Math.min(THREADS_MAX, Math.max(1, availableParallelism() - 1));
  const pack = await loadPack(packFolder);
  const sessions = await openSessions(pack, provider, threads);
  const vision = new PackVision(pack, provider, sessions, options.ignore ?? []);
  try {
    await vision.checkGolden();
  } catch (error) {
    await vision.close();
    throw error;
  }
  logger.info("model pack loaded", { pack: vision.pack.id, provider, threads });
  return vision;
}

interface Sessions {
  readonly detector: Session;
  readonly landmarks: Session | undefined;
  readonly embedder: Session;
  readonly coverage: Session;
}

async function openSessions(pack: Pack, provider: Provider, threads: number): Promise<Sessions> {
  const opened: Session[] = [];
  const open = async (options: SessionOptions): Promise<Session> => {
    const session = await openSession(options);
    opened.push(session);
    return session;
  };
  const net = async (file: string, keepMemory: boolean): Promise<Session> =>
    await open({ model: `${pack.folder}/${file}`, provider, threads, keepMemory });
  try {
    const { detector, landmarks, embedder } = pack.file.models;
    return {
      detector: await net(detector.file, true),
      landmarks: landmarks && (await net(landmarks.file, false)),
      embedder: await net(embedder.file, false),
      // Too small for a device of its own.
      coverage: await open({
        model: coverageNet(),
        provider: "cpu",
        threads: 1,
        keepMemory: false,
      }),
    };
  } catch (error) {
    await Promise.all(opened.map((session) => session.close()));
    throw error;
  }
}

/** A face cut out, upright and in the embedder's size. */
interface Chip {
  readonly image: RgbImage;
  readonly pixels: Uint8Array;
}

/** A face whose chip is cut, and which may be hidden in part. */
interface CutFace extends Face {
  readonly pixels: Uint8Array;
}

function nearest(faces: readonly Face[], count: number): Face[] {
  const sorted = largestFirst(faces).sort(
    (a, b) => Number(b.quality.usable) - Number(a.quality.usable),
  );
  return sorted.slice(0, count);
}

class PackVision implements Vision {
  readonly pack: PackIdentity;
  readonly provider: Provider;
  readonly #pack: Pack;
  readonly #sessions: Sessions;
  readonly #findFaces: (pyramid: Pyramid) => Promise<Detection[]>;
  readonly #template;
  readonly #ignore: readonly Polygon[];
  /** Chips cut for the quality of a face, until it is embedded. */
  readonly #chips = new WeakMap<Face, Chip>();
  /** Memory for the halves of a frame, of one size all the time. */
  readonly #halves: Uint8Array[] = [];
  #queue: Promise<unknown> = Promise.resolve();

  constructor(pack: Pack, provider: Provider, sessions: Sessions, ignore: readonly Polygon[]) {
    this.#ignore = ignore;
    this.pack = identityOf(pack);
    this.provider = provider;
    this.#pack = pack;
    this.#sessions = sessions;
    this.#findFaces = createDetector(sessions.detector, pack.file.models.detector);
    this.#template = templateOf(pack.file.models.embedder.alignment);
  }

  async checkGolden(): Promise<void> {
    const { sidePx } = this.#pack.file.models.embedder;
    const [embedding] = await this.#embedChips([goldenChip(sidePx)]);
    invariant(embedding, "one chip gives one embedding");
    checkGolden(this.#pack.file, embedding, this.provider);
  }

  async detect(image: RgbImage): Promise<Face[]> {
    return (await this.#inTurn(() => this.#detect(image))).faces;
  }

  async embed(image: RgbImage, faces: readonly Face[]): Promise<Embedding[]> {
    return await this.#inTurn(() => this.#embed(image, faces));
  }

  async analyse(image: RgbImage, facesMax = Number.POSITIVE_INFINITY): Promise<Analysis> {
    return await this.#inTurn(async () => {
      const { faces: found, times } = await this.#detect(image);
      const faces = found.length > facesMax ? nearest(found, facesMax) : found;
      const start = performance.now();
      const embeddings = await this.#embed(image, faces);
      return {
        faces: faces.map((face, i) => {
          const embedding = embeddings[i];
          invariant(embedding, "every face has an embedding");
          return { ...face, embedding };
        }),
        leftOut: found.length - faces.length,
        times: { ...times, embedMs: performance.now() - start },
      };
    });
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      for (const session of Object.values(this.#sessions)) await session?.close();
    });
  }

  async #detect(image: RgbImage): Promise<{ faces: Face[]; times: Omit<StageTimes, "embedMs"> }> {
    invariant(image.data.length === image.width * image.height * 3, "three bytes a pixel");
    const start = performance.now();
    const pyramid = createPyramid(image, this.#halves);
    const detections = outside(await this.#findFaces(pyramid), this.#ignore, image);
    const detected = performance.now();
    const landmarks = this.#sessions.landmarks
      ? await findLandmarks(
          this.#sessions.landmarks,
          pyramid,
          detections.map(({ box }) => box),
        )
      : undefined;
    const located = performance.now();
    const cuts = detections.map((detection, i) => this.#cut(pyramid, detection, landmarks?.[i]));
    return {
      faces: await this.#faces(pyramid, cuts),
      times: {
        detectMs: detected - start,
        ...(landmarks && { landmarksMs: located - detected }),
        alignMs: performance.now() - located,
      },
    };
  }

  #cut(pyramid: Pyramid, detection: Detection, landmarks: Float32Array | undefined): CutFace {
    const { box, score } = detection;
    const points = landmarks ? fiveOf(landmarks) : detection.points;
    invariant(points, "a pack whose detector gives no points has a landmark net");
    const found = { box, score, points, ...(landmarks && { landmarks }) };
    const { side } = this.#template;
    const toImage = this.#chipToImage(found);
    const pixels = warpChip(pyramid, toImage, side);
    const input = { chip: pixels, side, toImage, points, score };
    return { ...found, pixels, quality: assess(input, this.#pack.file.quality) };
  }

  /** Unusable, too, where something hides the face. All are looked at in one run of the net. */
  async #faces(pyramid: Pyramid, cuts: readonly CutFace[]): Promise<Face[]> {
    const bare = cuts.filter(({ quality }) => quality.usable);
    const reasons = await hiddenReasons(
      this.#sessions.coverage,
      bare.map(({ points, score }) => {
        const chip = warpChip(pyramid, coverageChip(points), COVERAGE_SIDE);
        return { chip, confidence: score };
      }),
    );
    const hidden = new Map(bare.map((cut, i) => [cut, reasons[i] ?? null]));
    return cuts.map((cut) => {
      const { pixels, ...found } = cut;
      const reason = hidden.get(cut) ?? null;
      const face: Face =
        reason === null
          ? found
          : { ...found, quality: { ...found.quality, usable: false, reasons: [reason] } };
      this.#chips.set(face, { image: pyramid.picture, pixels });
      return face;
    });
  }

  async #embed(image: RgbImage, faces: readonly Face[]): Promise<Embedding[]> {
    const pyramid = createPyramid(image);
    const chips = faces.map((face) => {
      const chip = this.#chips.get(face);
      this.#chips.delete(face);
      if (chip?.image === image) return chip.pixels;
      return warpChip(pyramid, this.#chipToImage(face), this.#template.side);
    });
    return await this.#embedChips(chips);
  }

  async #embedChips(chips: readonly Uint8Array[]): Promise<Embedding[]> {
    const { sidePx: side, dimension } = this.#pack.file.models.embedder;
    return await embedChips(this.#sessions.embedder, chips, { side, dimension });
  }

  #chipToImage(face: Pick<Face, "points" | "landmarks">): Similarity {
    const { target, pointsOf } = this.#template;
    return invertSimilarity(fitSimilarity(pointsOf(face), target));
  }

  /** One piece of work at a time: the nets share buffers, and would only fight for the cores. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
