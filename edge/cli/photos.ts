import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";

const PHOTO = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;
const byNumber = new Intl.Collator("en", { numeric: true });

/** The photo itself, or those in a folder, in natural order. Throws `photo.missing`. */
export function photosIn(path: string): string[] {
  if (!existsSync(path)) {
    throw new PorchlightError("photo.missing", `there is no photo or folder at ${path}`, {
      exitCode: EXIT.usage,
      hint: `look for it: ls ${path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : "."}`,
    });
  }
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => PHOTO.test(name))
    .sort(byNumber.compare)
    .map((name) => join(path, name));
}

export interface LabelledPhotos {
  readonly person: string;
  readonly photos: readonly string[];
}

/** A folder of `person/photo.jpg`. Throws `photo.missing` when there is none in it. */
export function peopleIn(folder: string): LabelledPhotos[] {
  const people = existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => ({ person: name, photos: photosIn(join(folder, name)) }))
        .filter(({ photos }) => photos.length > 0)
        .sort((a, b) => byNumber.compare(a.person, b.person))
    : [];
  if (people.length > 0) return people;
  throw new PorchlightError(
    "photo.missing",
    `there are no person/photo.jpg in ${basename(folder)}`,
    {
      exitCode: EXIT.usage,
      hint: "make one folder for each person, with their photos in it",
    },
  );
}
