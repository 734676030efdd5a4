/** Who comes to the demo's door, and what of their photos is enrolled. */
import { readFileSync } from "node:fs";
import { EXIT, PorchlightError } from "../../shared/errors.ts";
import type { Face, RgbImage } from "../vision/face.ts";
import { crop, decodeImage, encodeJpeg } from "../vision/image.ts";
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

/** Names for people in photos that come without: computing pioneers, in the order of the alphabet. */
const NAMES = ["Ada", "Barbara", "Claude", "Dennis", "Edsger", "Frances", "Grace", "Hedy", "Ivan"];
/** Every so many-th is a stranger. */
const STRANGER_EVERY = 3;
/** More visitors make the demo longer, not better. */
const ACTORS_MAX = NAMES.length;
/** Room around a face in its cut-out, in face widths: hair and shoulders, but no neighbour. */
const LOOK_MARGIN = 0.4;

/** Actors from group photos, one photo each: what is enrolled and what is replayed come from it. */
export async function castFromGroups(vision: Vision, photos: readonly string[]): Promise<Actor[]> {
  const looks: RgbImage[] = [];
  for (const photo of photos) {
    const image = await decodeImage(readFileSync(photo));
    const faces = await vision.detect(image);
    for (const face of faces) {
      if (!face.quality.usable || crowded(face, faces)) continue;
      looks.push(crop(image, roomAround(face)));
    }
  }
  const chosen = looks.slice(0, ACTORS_MAX);
  return await Promise.all(
    chosen.map(async (look, i): Promise<Actor> => {
      const stranger = isStranger(i);
      const enrolment = stranger ? [] : [await encodeJpeg(look)];
      return { name: NAMES[i] ?? `Visitor ${i + 1}`, stranger, enrolment, looks: [look] };
    }),
  );
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

/** Whether another face reaches into this one's cut-out. */
function crowded(face: Face, faces: readonly Face[]): boolean {
  const { x, y, width, height } = roomAround(face);
  return faces.some(
    ({ box }) =>
      box !== face.box &&
      box.x < x + width &&
      box.x + box.width > x &&
      box.y < y + height &&
      box.y + box.height > y,
  );
}
