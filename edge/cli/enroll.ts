import { randomUUID } from "node:crypto";
import { flag, text, usageError } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import type { Given } from "../../shared/cli/verb.ts";
import { EXIT, type ExitCode, PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { visionOptions } from "../config/options.ts";
import { chooseTemplates, type PhotoReport } from "../recognition/enrol.ts";
import { lookAtPhotos, type Photo } from "../recognition/enrol-photos.ts";
import { thresholdProblems, thresholdsOf } from "../recognition/thresholds.ts";
import { visitCrops } from "../store/enrolled-crop.ts";
import type { Store } from "../store/open-store.ts";
import { openVision } from "../vision/vision.ts";
import { cameraFrames, configuredCamera } from "./camera-frames.ts";
import { enrolInto, personNamed } from "./enrol-into.ts";
import { askedNames, checkedName } from "./names.ts";
import { photosIn, readPhoto } from "./photos.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

/** Frames looked at when enrolling from the camera: a second or two of slightly different looks. */
const CAMERA_FRAMES = 12;
/** Between frames that are looked at, so that they differ. */
const CAMERA_STEP = 5;

/** Files one after the other; what cannot be read is reported in its place and ends nothing. */
async function* filePhotos(paths: readonly string[], unread: PhotoReport[]): AsyncGenerator<Photo> {
  for (const path of paths) {
    try {
      yield { name: path, bytes: readPhoto(path), source: "photo" };
    } catch (error) {
      if (!(error instanceof PorchlightError)) throw error;
      const detail = `${error.message}; ${error.hint}`;
      const nothing = { taken: false, like: null, widthPx: null, quality: null };
      unread.push({ photo: path, refusal: "unreadable", detail, ...nothing });
    }
  }
}

/** Ends early when the command is asked to stop. */
async function* until(
  signal: AbortSignal,
  photos: AsyncIterable<Photo> | Iterable<Photo>,
): AsyncGenerator<Photo> {
  for await (const photo of photos) {
    if (signal.aborted) return;
    yield photo;
  }
}

async function* cameraPhotos(invocation: Invocation): AsyncGenerator<Photo> {
  let seen = 0;
  let taken = 0;
  for await (const bytes of cameraFrames(invocation)) {
    if (seen++ % CAMERA_STEP !== 0) continue;
    yield { name: `camera ${seen}`, bytes, source: "camera" };
    if (++taken >= CAMERA_FRAMES) return;
  }
}

/** The crops that were kept with a visit's decision. */
function visitPhotos(store: Store, id: string): Photo[] {
  const visit = store.visits.find(id);
  const crops = visit === null ? [] : visitCrops(store, visit);
  if (crops.length === 0) {
    throw new PorchlightError("visit.unknown", `no visit ${id} with faces that can be opened`, {
      exitCode: EXIT.notFound,
      hint: "see the visits: porchlight visits list",
    });
  }
  return crops.map((bytes, i) => ({
    name: `visit ${id} ${i + 1}`,
    bytes,
    source: "visit" as const,
  }));
}

const OPTIONS = {
  camera: flag("use frames of the configured camera"),
  "from-visit": text("ID", "use the faces kept of a visit"),
  alike: flag("enrol although an enrolled person is alike: twins come out ambiguous"),
  "dry-run": flag("say what would be taken, write nothing"),
};

function sourceOf(invocation: Given<Invocation, typeof OPTIONS>): {
  photos: AsyncIterable<Photo> | Iterable<Photo>;
  total: number;
  unread: readonly PhotoReport[];
} {
  const { operands, values, store, terminal } = invocation;
  const paths = operands.slice(1);
  const visit = values["from-visit"];
  const given = [paths.length > 0, values.camera, visit !== undefined];
  if (given.filter(Boolean).length !== 1) {
    throw usageError("give photos, --camera or --from-visit ID: one of them");
  }
  if (visit !== undefined) {
    const photos = visitPhotos(store(), visit);
    return { photos, total: photos.length, unread: [] };
  }
  if (values.camera) configuredCamera(invocation);
  if (values.camera) return { photos: cameraPhotos(invocation), total: CAMERA_FRAMES, unread: [] };
  const found = paths.map(photosIn);
  for (const note of found.flatMap(({ notes }) => notes)) terminal.note(note);
  const files = found.flatMap((each) => each.photos);
  if (files.length === 0) {
    throw new PorchlightError("photo.none", `there is no photo to enrol in ${paths.join(", ")}`, {
      exitCode: EXIT.usage,
      hint: "JPEG, PNG, WebP, GIF, TIFF and AVIF are read; name the folder that holds them",
    });
  }
  const unread: PhotoReport[] = [];
  return { photos: filePhotos(files, unread), total: files.length, unread };
}

function report(
  { terminal }: Invocation,
  result: { person: string | null; name: string; dryRun: boolean; reports: readonly PhotoReport[] },
): ExitCode {
  const { reports, dryRun, name } = result;
  const taken = reports.filter((each) => each.taken).length;
  const unlike = reports.some(({ refusal }) => refusal === "unlike the other photos");
  const rows = reports.map(({ photo, refusal, detail }) => [
    photo,
    refusal === null ? "taken" : `refused: ${refusal}`,
    detail,
  ]);
  const verb = dryRun ? "would be taken" : "taken";
  const summary = `${name}: ${taken} of ${reports.length} photos ${verb}`;
  terminal.data({ ...result, taken }, `${table(["photo", "", ""], rows)}\n${summary}`);
  if (unlike) {
    terminal.note(
      "photos of somebody else? look at what is enrolled: porchlight people show NAME --out sheet.jpg",
    );
  }
  if (reports.some(({ like }) => like !== null)) {
    terminal.note(
      "a twin? enrol them all the same: --alike; another's photo? porchlight people remove-template",
    );
  }
  if (taken > 0) return EXIT.ok;
  terminal.note(
    "no photo was enrolled: use sharp, well-lit photos of one face looking at the camera",
  );
  return EXIT.failed;
}

/** With the name of whom a photo resembles: the owner asks, and has to know whose folder is wrong. */
function named(report: PhotoReport, { gallery }: Store): PhotoReport {
  const like = report.like === null ? null : gallery.person(report.like);
  if (like === null) return report;
  return { ...report, detail: report.detail.replace("another enrolled person", like.name) };
}

export const enroll: Verb = verb({
  name: "enroll",
  summary: "enrol a person from photos, a camera or a visit",
  options: OPTIONS,
  example: "porchlight enroll 'Ada Lovelace' ~/photos/ada/",
  operands: { usage: "<name> [<photos or folders…>]", min: 1, max: 10_000 },
  async run(invocation) {
    const { terminal, values, actor, config, store: open, operands, signal } = invocation;
    const name = checkedName((await askedNames(operands.slice(0, 1), terminal))[0] ?? "");
    const dryRun = values["dry-run"];
    const store = open();
    const { photos, total, unread } = sourceOf(invocation);
    personNamed(store, name);
    const vision = await openVision({ ...visionOptions(config()), logger: silentLogger });
    try {
      const { maxSidePx, ...recognition } = config().recognition;
      for (const problem of thresholdProblems(recognition, vision.pack)) terminal.note(problem);
      let done = 0;
      const seen = (): void => terminal.progress(name, ++done, total);
      const looked = await lookAtPhotos(until(signal, photos), { vision, maxSidePx }, seen);
      if (signal.aborted) {
        terminal.note(`stopped after ${done} of ${total} photos: nothing was enrolled`);
        return EXIT.failed;
      }
      const options = {
        pack: vision.pack,
        gallery: store.gallery,
        thresholds: thresholdsOf(recognition, vision.pack),
        newId: randomUUID,
        alike: values.alike,
      };
      const choose = (person: string) => chooseTemplates(person, looked, options, actor);
      const { person, enrolment } = await enrolInto(store, {
        ...{ name, actor, dryRun, choose },
        visit: values["from-visit"] ?? null,
      });
      const reports = [...enrolment.reports.map((each) => named(each, store)), ...unread];
      for (const template of enrolment.doubtful) {
        const id = template.slice(0, 8);
        terminal.note(
          `template ${id} is unlike the others: porchlight people remove-template NAME ${id}`,
        );
      }
      return report(invocation, { person, name, dryRun, reports });
    } finally {
      await vision.close();
    }
  },
});
