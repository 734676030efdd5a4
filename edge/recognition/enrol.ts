/** Enrolment: which photos of a person become templates, and why the others do not. */
import type { AnyDraft, Draft } from "../../shared/log/draft.ts";
import { type Embedding, embeddingToBytes } from "../../shared/log/embedding.ts";
import type { PackIdentity } from "../vision/pack.ts";
import {
  type LookOptions,
  lookAtPhotos,
  type Photo,
  type PhotoFace,
  type PhotoFault,
  type SeenPhoto,
} from "./enrol-photos.ts";
import type { Candidate, Thresholds } from "./match.ts";
import { coreOf, type Member, majorityOf, mostDifferent, unlike } from "./person-likeness.ts";
import type { Template, TemplateGallery } from "./template.ts";
import { samePersonOf } from "./thresholds.ts";

export type PhotoRefusal =
  | PhotoFault
  | "unlike the other photos"
  | "nearer to another person"
  | "same photo again"
  | "enough templates";

/** What became of one photo. */
export interface PhotoReport {
  readonly photo: string;
  readonly taken: boolean;
  readonly refusal: PhotoRefusal | null;
  readonly detail: string;
  readonly widthPx: number | null;
  readonly quality: number | null;
  /** The other person whom it resembles, for the owner's eyes. */
  readonly like: string | null;
}

export interface ChooseOptions {
  readonly pack: Pick<PackIdentity, "id" | "name" | "dimension" | "thresholds">;
  readonly gallery: TemplateGallery;
  readonly thresholds: Thresholds;
  readonly newId: () => string;
  /** Whether somebody may be enrolled whom an enrolled person resembles: a twin. */
  readonly alike?: boolean;
}

export interface EnrolOptions extends LookOptions, Omit<ChooseOptions, "pack"> {}

export interface Enrolment {
  readonly reports: readonly PhotoReport[];
  /** `template.added` drafts of the photos that were taken. */
  readonly templates: readonly AnyDraft[];
  /** `template.removed` drafts of templates that make room for them. */
  readonly removed: readonly AnyDraft[];
  /** Templates the person has that are unlike the others they have. */
  readonly doubtful: readonly string[];
}

/** Looks at photos of one person, in order; `seen` is called after each. Writes nothing. */
export async function enrol(
  person: string,
  photos: AsyncIterable<Photo> | Iterable<Photo>,
  options: EnrolOptions,
  actor: string,
  seen: (photo: SeenPhoto) => void,
): Promise<Enrolment> {
  const looked = await lookAtPhotos(photos, options, seen);
  return await chooseTemplates(person, looked, { ...options, pack: options.vision.pack }, actor);
}

/**
 * The second half of enrolment: judges the faces by each other and by who is enrolled. It can be
 * repeated when the gallery has changed meanwhile.
 */
export async function chooseTemplates(
  person: string,
  photos: readonly SeenPhoto[],
  options: ChooseOptions,
  actor: string,
): Promise<Enrolment> {
  const { pack, gallery } = options;
  const refused: Refusals = new Map();
  const own = gallery.templates(person);
  const there = membersOf(own, gallery.embeddings(person, pack.id));
  const given = await ownFaces(person, photos, own, options, refused);
  const least = samePersonOf(pack);
  const reference = there.length > 0 ? coreOf(there, least) : majorityOf(given, least);
  const alike = given.filter((member) => {
    const detail = unlike(member, reference.length > 0 ? reference : given, least);
    if (detail === null && reference.length > 0) return true;
    const words = detail ?? "the photos are of different faces, and none is of most of them";
    refused.set(member.photo, { refusal: "unlike the other photos", detail: words, like: null });
    return false;
  });
  const { kept, spare } = mostDifferent(there, alike);
  for (const { member, refusal, detail } of spare) {
    if (isGiven(member)) refused.set(member.photo, { refusal, detail, like: null });
  }
  const removed = there.filter((member) => !kept.includes(member));
  return {
    reports: photos.map((photo) => reportOf(photo, refused)),
    templates: kept.filter(isGiven).map((member) => draftOf(member, person, actor, pack)),
    removed: removed.flatMap(({ template }) => removalOf(template, own, actor)),
    doubtful: there
      .filter((member) => unlike(member, reference, least) !== null)
      .map(({ template }) => template),
  };
}

/** A face that is to become a template. */
interface Given extends Member {
  readonly photo: SeenPhoto;
  readonly found: PhotoFace;
}

function isGiven(member: Member): member is Given {
  return "photo" in member;
}

type Refusals = Map<SeenPhoto, Pick<PhotoReport, "refusal" | "detail" | "like">>;

/** The faces that are new, and nobody else's. */
async function ownFaces(
  person: string,
  photos: readonly SeenPhoto[],
  own: readonly Template[],
  options: ChooseOptions,
  refused: Refusals,
): Promise<Given[]> {
  const { pack, newId } = options;
  const digests = new Set(own.filter((each) => each.pack === pack.id).map(({ photo }) => photo));
  const given: Given[] = [];
  for (const photo of photos) {
    const { found, digest, detail, name } = photo;
    if (typeof found === "string") {
      refused.set(photo, { refusal: found, detail, like: null });
      continue;
    }
    if (digests.has(digest)) {
      const words = "its bytes are those of a photo taken before";
      refused.set(photo, { refusal: "same photo again", detail: words, like: null });
      continue;
    }
    const { embedding, quality } = found.face;
    const other = await nearestOther(person, embedding, options);
    if (other !== null) {
      const words = `similarity ${other.score.toFixed(3)} to another enrolled person`;
      refused.set(photo, {
        refusal: "nearer to another person",
        detail: words,
        like: other.person,
      });
      continue;
    }
    digests.add(digest);
    given.push({ template: newId(), name, embedding, quality: quality.score, photo, found });
  }
  return given;
}

/** The other person whom a face resembles more than this one; null where there is none. */
async function nearestOther(
  person: string,
  face: Embedding,
  { gallery, pack, thresholds, alike = false }: ChooseOptions,
): Promise<Candidate | null> {
  if (alike) return null;
  const [nearest] = await gallery.nearest(pack.id, face, 1);
  if (nearest === undefined || nearest.person === person) return null;
  return nearest.score >= thresholds.match ? nearest : null;
}

function membersOf(own: readonly Template[], embeddings: ReadonlyMap<string, Embedding>): Member[] {
  return own.flatMap(({ id, quality }) => {
    const embedding = embeddings.get(id);
    return embedding === undefined ? [] : [{ template: id, name: null, embedding, quality }];
  });
}

function reportOf(photo: SeenPhoto, refused: Refusals): PhotoReport {
  const { name, widthPx, quality, detail } = photo;
  const refusal = refused.get(photo) ?? { refusal: null, detail, like: null };
  return { photo: name, taken: refusal.refusal === null, ...refusal, widthPx, quality };
}

/** A template goes with those that were embedded again from its crop. */
export function removalOf(
  template: string,
  own: readonly Template[],
  actor: string,
): Draft<"template.removed">[] {
  return own
    .filter(({ id, of }) => id === template || of === template)
    .map(({ id, person: subject }) => {
      return { type: "template.removed", actor, subject, data: { template: id } };
    });
}

function draftOf(
  { template, photo, found: { face, crop } }: Given,
  person: string,
  actor: string,
  pack: ChooseOptions["pack"],
): AnyDraft {
  return {
    type: "template.added",
    actor,
    subject: person,
    data: {
      template,
      pack: pack.id,
      dimension: pack.dimension,
      quality: face.quality.score,
      widthPx: Math.round(face.quality.widthPx),
      source: photo.source,
      of: null,
    },
    personal: {
      biometric: {
        embedding: embeddingToBytes(face.embedding).toString("base64"),
        crop: crop.toString("base64"),
        photo: photo.digest,
      },
    },
  };
}
