import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { flag, text, usageError } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import type { Given } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, type ExitCode, PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { knownEntry, parseEntry } from "../../shared/log/entry.ts";
import { openCamera } from "../camera/open-camera.ts";
import { visionOptions } from "../config/options.ts";
import { openPersonal } from "../log/open-entry.ts";
import { chooseTemplates, type Enrolment, type PhotoReport } from "../recognition/enrol.ts";
import { lookAtPhotos, type Photo } from "../recognition/enrol-photos.ts";
import { thresholdProblems, thresholdsOf } from "../recognition/thresholds.ts";
import type { Store } from "../store/open-store.ts";
import type { Person } from "../vault/gallery.ts";
import { openVision } from "../vision/vision.ts";
import { checkedName } from "./people.ts";
import { photosIn } from "./photos.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

/** Frames looked at when enrolling from the camera: a second or two of slightly different looks. */
const CAMERA_FRAMES = 12;
/** Between frames that are looked at, so that they differ. */
const CAMERA_STEP = 5;

async function* filePhotos(paths: readonly string[]): AsyncGenerator<Photo> {
  for (const path of paths) {
    try {
      yield { name: path, bytes: readFileSync(path), source: "photo" };
    } catch {
      yield { name: path, bytes: Buffer.alloc(0), source: "photo" };
    }
  }
}

async function* cameraPhotos({ config, signal, environment }: Invocation): AsyncGenerator<Photo> {
  const { camera } = config();
  if (camera === undefined) throw usageError("the configuration names no camera");
  const path = environment["PATH"] ?? "";
  const parts = { clock: systemClock, logger: silentLogger, random: Math.random, signal, path };
  let seen = 0;
  let taken = 0;
  for await (const frame of openCamera(camera, parts)) {
    if (seen++ % CAMERA_STEP !== 0) continue;
    yield { name: `camera ${seen}`, bytes: frame.image, source: "camera" };
    if (++taken >= CAMERA_FRAMES) return;
  }
}

/** The crops that were sealed with a visit's decision. */
function visitPhotos({ visits, log, keyring }: Store, id: string): Photo[] {
  const visit = visits.find(id);
  const seq = visit?.decidedSeq ?? null;
  const stored = seq === null ? undefined : log.readAfter(seq - 1, 1)[0];
  const entry = stored?.body == null ? null : knownEntry(parseEntry(stored.body));
  const personal = entry?.type === "visit.recognised" ? openPersonal(entry, keyring) : null;
  if (personal === null) {
    throw new PorchlightError("visit.unknown", `no visit ${id} with faces that can be opened`, {
      exitCode: EXIT.notFound,
      hint: "see the visits: porchlight visits list",
    });
  }
  return personal.biometric.crops.map((crop, i) => ({
    name: `visit ${id} ${i + 1}`,
    bytes: Buffer.from(crop, "base64"),
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
} {
  const { operands, values, store } = invocation;
  const paths = operands.slice(1);
  const visit = values["from-visit"];
  const given = [paths.length > 0, values.camera, visit !== undefined];
  if (given.filter(Boolean).length !== 1) {
    throw usageError("give photos, --camera or --from-visit ID: one of them");
  }
  if (visit !== undefined) {
    const photos = visitPhotos(store(), visit);
    return { photos, total: photos.length };
  }
  if (values.camera) return { photos: cameraPhotos(invocation), total: CAMERA_FRAMES };
  const files = paths.flatMap(photosIn);
  return { photos: filePhotos(files), total: files.length };
}

/** The person of this name; a second one of the same name must be asked for. */
function personNamed({ gallery }: Store, name: string): Person | null {
  const [person, other] = gallery.named(name);
  if (other === undefined) return person ?? null;
  throw new PorchlightError("person.ambiguous", "several people have this name", {
    exitCode: EXIT.usage,
    hint: "rename one first: porchlight people rename <id> <new name>",
  });
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

/** What an enrolment rests on: who is enrolled, and with which faces. */
const GALLERY_TYPES = [
  "person.enrolled",
  "person.renamed",
  "person.erased",
  "template.added",
  "template.removed",
] as const;
/** Two enrolments at once: the later one looks at the gallery again. More than this is no accident. */
const ATTEMPTS_MAX = 8;

/** Chooses and appends, anew where somebody else has changed the gallery in between. */
async function enrolInto(
  store: Store,
  given: {
    readonly name: string;
    readonly actor: string;
    readonly dryRun: boolean;
    readonly choose: (person: string) => Promise<Enrolment>;
  },
): Promise<{ readonly person: string | null; readonly enrolment: Enrolment }> {
  const { name, actor, dryRun, choose } = given;
  const subject = randomUUID();
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const since = store.log.head();
    store.catchUp();
    const known = personNamed(store, name);
    const person = known?.id ?? subject;
    const enrolment = await choose(person);
    const { templates, removed } = enrolment;
    if (dryRun || templates.length === 0) return { person: null, enrolment };
    const personal = { profile: { name } };
    const enrolled = { type: "person.enrolled", actor, subject, data: {}, personal } as const;
    const drafts = [...(known === null ? [enrolled] : []), ...removed, ...templates];
    if (store.appendUnlessSince(since, GALLERY_TYPES, drafts) !== null)
      return { person, enrolment };
  }
  throw new PorchlightError("person.busy", "others are changing who is enrolled all the time", {
    hint: "try again when they are done: porchlight enroll",
  });
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
    const { terminal, values, actor, config, store: open, operands } = invocation;
    const name = checkedName(operands[0] ?? "");
    const dryRun = values["dry-run"];
    const store = open();
    const { photos, total } = sourceOf(invocation);
    personNamed(store, name);
    const vision = await openVision({ ...visionOptions(config()), logger: silentLogger });
    try {
      const { maxSidePx, ...recognition } = config().recognition;
      for (const problem of thresholdProblems(recognition, vision.pack)) terminal.note(problem);
      let done = 0;
      const seen = (): void => terminal.progress(name, ++done, total);
      const looked = await lookAtPhotos(photos, { vision, maxSidePx }, seen);
      const options = {
        pack: vision.pack,
        gallery: store.gallery,
        thresholds: thresholdsOf(recognition, vision.pack),
        newId: randomUUID,
        alike: values.alike,
      };
      const choose = (person: string) => chooseTemplates(person, looked, options, actor);
      const { person, enrolment } = await enrolInto(store, { name, actor, dryRun, choose });
      const reports = enrolment.reports.map((each) => named(each, store));
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
