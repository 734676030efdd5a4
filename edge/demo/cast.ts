/** Who comes to the demo's door, and what of their photos is enrolled. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT, invariant, PorchlightError } from "../../shared/core/errors.ts";
import type { Box, Face, RgbImage } from "../vision/face.ts";
import { decodeImage, encodeJpeg } from "../vision/image.ts";
import { crop } from "../vision/resample.ts";
import type { Vision } from "../vision/vision.ts";

export interface Actor {
  readonly name: string;
  /** Strangers come to the door, but nobody has enrolled them. */
  readonly stranger: boolean;
  /** JPEG photos to enrol; empty for a stranger. */
  readonly enrolment: readonly Buffer[];
  /** Cut-outs of the person from which scenes are composed. */
  readonly looks: readonly RgbImage[];
}

export interface LabelledFolder {
  readonly person: string;
  readonly photos: readonly string[];
}

/** A face in a photo of the npm dependency: the point, as parts of width and height, lies in it. */
interface Spot {
  readonly photo: string;
  readonly x: number;
  readonly y: number;
}

interface Role {
  readonly name: string;
  /** Null for a stranger. */
  readonly enrolled: Spot | null;
  readonly comes: Spot;
}

const spot = (photo: number, x: number, y: number): Spot => ({ photo: `sample${photo}.jpg`, x, y });

/**
 * Who is who in the six group photos, told apart by eye; the names are made up. Grace is in two of
 * them: she is enrolled from one evening and comes on another. Of the others there is one photo.
 */
const ROLES: readonly Role[] = [
  { name: "Grace", enrolled: spot(3, 0.62, 0.29), comes: spot(1, 0.82, 0.25) },
  { name: "Ada", enrolled: spot(1, 0.26, 0.4), comes: spot(1, 0.26, 0.4) },
  { name: "a stranger", enrolled: null, comes: spot(3, 0.83, 0.34) },
  { name: "Barbara", enrolled: spot(3, 0.36, 0.37), comes: spot(3, 0.36, 0.37) },
  { name: "Frances", enrolled: spot(6, 0.18, 0.43), comes: spot(6, 0.18, 0.43) },
  { name: "a stranger", enrolled: null, comes: spot(2, 0.81, 0.22) },
  { name: "Hedy", enrolled: spot(6, 0.82, 0.29), comes: spot(6, 0.82, 0.29) },
  { name: "Evelyn", enrolled: spot(4, 0.39, 0.15), comes: spot(4, 0.39, 0.15) },
  { name: "a stranger", enrolled: null, comes: spot(4, 0.7, 0.22) },
];
/** In a folder of photos, every so many-th person is a stranger. */
const STRANGER_EVERY = 3;
/** More visitors make the demo longer, not better. */
const ACTORS_MAX = ROLES.length;
/** Room around a face in its cut-out, in face widths: hair and shoulders, and little of others. */
const LOOK_MARGIN = 0.4;

/** Actors from the group photos in a folder of the npm dependency. */
export async function castFromGroups(vision: Vision, folder: string): Promise<Actor[]> {
  const photos = new Map<string, { readonly image: RgbImage; readonly faces: readonly Face[] }>();
  const cutOut = async ({ photo, x, y }: Spot): Promise<RgbImage> => {
    let known = photos.get(photo);
    if (known === undefined) {
      const image = await decodeImage(readFileSync(join(folder, photo)));
      known = { image, faces: await vision.detect(image) };
      photos.set(photo, known);
    }
    const { image, faces } = known;
    const face = faces.find(({ box }) => holds(box, x * image.width, y * image.height));
    invariant(face !== undefined, `the pack finds the face in ${photo}`);
    return crop(image, roomAround(face));
  };
  const actors: Actor[] = [];
  for (const { name, enrolled, comes } of ROLES) {
    const enrolment = enrolled === null ? [] : [await encodeJpeg(await cutOut(enrolled))];
    actors.push({ name, stranger: enrolled === null, enrolment, looks: [await cutOut(comes)] });
  }
  return actors;
}

/** Actors from a folder of person/photo.jpg: half of the photos are enrolled, the others replayed. */
export async function castFromFolders(folders: readonly LabelledFolder[]): Promise<Actor[]> {
  const several = folders.filter(({ photos }) => photos.length >= 2).slice(0, ACTORS_MAX);
  if (several.length < 2) {
    throw new PorchlightError("demo.photos", "the demo needs two people with two photos each", {
      exitCode: EXIT.usage,
      hint: "one folder a person, photos in it: porchlight demo --photos DIR",
    });
  }
  return await Promise.all(
    several.map(async ({ person, photos }, i): Promise<Actor> => {
      const half = Math.ceil(photos.length / 2);
      const stranger = isStranger(i);
      const enrolment = stranger ? [] : photos.slice(0, half).map((photo) => readFileSync(photo));
      const replayed = photos.slice(half).map((photo) => decodeImage(readFileSync(photo)));
      return { name: person, stranger, enrolment, looks: await Promise.all(replayed) };
    }),
  );
}

function isStranger(index: number): boolean {
  return index % STRANGER_EVERY === STRANGER_EVERY - 1;
}

function roomAround({ box }: Pick<Face, "box">) {
  const { x, y, width, height } = box;
  const [dx, dy] = [width * LOOK_MARGIN, height * LOOK_MARGIN];
  return { x: x - dx, y: y - dy, width: width + 2 * dx, height: height + 2 * dy };
}

function holds({ x, y, width, height }: Box, atX: number, atY: number): boolean {
  return atX >= x && atX <= x + width && atY >= y && atY <= y + height;
}
