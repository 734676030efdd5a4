/** Photos as people have them: files, folders, and what of a folder was passed over and why. */
import { type Dirent, readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { userInfo } from "node:os";
import { basename, join } from "node:path";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";

const PHOTO = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;
const HEIC = /\.(heic|heif|hif)$/i;
const HEIC_WORDS =
  "HEIC, which is not read here: on the iPhone choose Settings › Camera › Formats › " +
  "Most Compatible, or convert them: heif-convert photo.heic photo.jpg";
const byNumber = new Intl.Collator("en", { numeric: true });
/** Bytes that are no UTF-8 in a file's name come as this, and no longer name the file. */
const UNREADABLE_NAME = "�";

export interface FoundPhotos {
  readonly photos: readonly string[];
  /** What of a folder was passed over: a line each, for the owner. */
  readonly notes: readonly string[];
}

/** The photo itself, or those in a folder, in natural order. Throws `photo.missing`, `photo.denied`. */
export function photosIn(path: string): FoundPhotos {
  const found = lookedAt(path, () => statSync(path));
  if (!found.isDirectory()) return { photos: [path], notes: [] };
  const entries = lookedAt(path, () => readdirSync(path, { withFileTypes: true }));
  const kinds = entries.map((entry) => ({ entry, kind: kindOf(path, entry) }));
  const of = (kind: Kind): Dirent[] =>
    kinds.filter((each) => each.kind === kind).map((e) => e.entry);
  const photos = of("photo")
    .map(({ name }) => name)
    .sort(byNumber.compare)
    .map((name) => join(path, name));
  const notes = [
    passedOver(path, of("heic"), HEIC_WORDS),
    passedOver(path, of("broken link"), "links to nothing"),
    passedOver(path, of("unreadable name"), "their names are no UTF-8: rename them"),
    passedOver(path, of("other"), "no photos: JPEG, PNG, WebP, GIF, TIFF and AVIF are read"),
    below(path, of("folder")),
  ];
  return { photos, notes: notes.filter((note) => note !== "") };
}

type Kind = "photo" | "heic" | "folder" | "other" | "hidden" | "broken link" | "unreadable name";

function kindOf(folder: string, entry: Dirent): Kind {
  const { name } = entry;
  if (name.startsWith(".")) return "hidden";
  if (name.includes(UNREADABLE_NAME)) return "unreadable name";
  let folderItself = entry.isDirectory();
  if (entry.isSymbolicLink()) {
    const target = statSync(join(folder, name), { throwIfNoEntry: false });
    if (target === undefined) return "broken link";
    folderItself = target.isDirectory();
  }
  if (folderItself) return "folder";
  if (HEIC.test(name)) return "heic";
  return PHOTO.test(name) ? "photo" : "other";
}

function passedOver(folder: string, entries: readonly Dirent[], why: string): string {
  const [first] = entries;
  if (first === undefined) return "";
  const files = entries.length === 1 ? first.name : `${entries.length} files (${first.name}, …)`;
  return `${folder}: ${files} passed over: ${why}`;
}

/** Folders below are another person's as often as more of the same: the owner names them. */
function below(path: string, folders: readonly Dirent[]): string {
  const filled = folders.filter(({ name }) => holdsPhotos(join(path, name)));
  const [first] = filled;
  if (first === undefined) return "";
  const count = filled.length === 1 ? "the folder" : `${filled.length} folders, such as`;
  return `${path}: photos in ${count} ${join(path, first.name)} passed over: name it too to use them`;
}

function holdsPhotos(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => PHOTO.test(name) || HEIC.test(name));
  } catch {
    // What may not be looked into is not recommended either.
    return false;
  }
}

/** The bytes of a photo. Throws `photo.missing`, `photo.denied`, `photo.unreadable`. */
export function readPhoto(path: string): Buffer {
  return lookedAt(path, () => readFileSync(path));
}

/** The file system's error in an owner's words, with the command that mends it. */
function lookedAt<T extends Stats | Dirent[] | Buffer>(path: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw photoError(path, error);
  }
}

function photoError(path: string, cause: unknown): PorchlightError {
  const code = cause instanceof Error && "code" in cause ? cause.code : "";
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) || "/" : ".";
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new PorchlightError("photo.missing", `there is no photo or folder at ${path}`, {
      exitCode: EXIT.usage,
      hint: `look for it: ls ${folder}`,
      cause,
    });
  }
  if (code === "EACCES" || code === "EPERM") {
    const { username } = userInfo();
    return new PorchlightError("photo.denied", `user ${username} may not read ${path}`, {
      exitCode: EXIT.usage,
      hint: `let it: chmod -R o+rX ${path}, and o+x on each folder above; or copy it to /var/lib/porchlight/photos`,
      cause,
    });
  }
  const words = code === "EISDIR" ? "it is a folder" : messageOf(cause);
  return new PorchlightError("photo.unreadable", `${path} cannot be read: ${words}`, {
    exitCode: EXIT.usage,
    hint: `look at it: ls -ld ${path}`,
    cause,
  });
}

export interface LabelledPhotos {
  readonly person: string;
  readonly photos: readonly string[];
}

/** A folder of `person/photo.jpg`. Throws `photo.missing` when there is none in it. */
export function peopleIn(folder: string): LabelledPhotos[] {
  const entries = lookedAt(folder, () => readdirSync(folder, { withFileTypes: true }));
  const people = entries
    .filter((entry) => kindOf(folder, entry) === "folder")
    .map(({ name }) => ({ person: name, photos: photosIn(join(folder, name)).photos }))
    .filter(({ photos }) => photos.length > 0)
    .sort((a, b) => byNumber.compare(a.person, b.person));
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
