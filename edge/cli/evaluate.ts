import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import {
  flag,
  number,
  requiredText,
  text,
  usageError,
  type ValuesOf,
} from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { type Given, NO_OPERANDS } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, messageOf, PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import type { Embedding } from "../../shared/log/embedding.ts";
import { visionOptions } from "../config/options.ts";
import { modelsFolder } from "../config/paths.ts";
import { type Calibration, calibrate } from "../evaluate/calibrate.ts";
import {
  type Evaluated,
  type Evaluation,
  evaluate as evaluatePeople,
  type LabelledPeople,
} from "../evaluate/evaluate.ts";
import { drawPairs, type Pair, parsePairs, scoresCsv } from "../evaluate/pairs.ts";
import { detSvg } from "../evaluate/plot.ts";
import { rateInWords } from "../evaluate/rate.ts";
import { curve } from "../evaluate/verification.ts";
import { thresholdsOf } from "../recognition/thresholds.ts";
import type { PackIdentity } from "../vision/pack.ts";
import { writeLocal } from "../vision/packs/install.ts";
import { verifyPack } from "../vision/packs/models.ts";
import { openVision } from "../vision/vision.ts";
import { peopleIn } from "./photos.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

const DEFAULT_FAR = 0.001;
/** As many as most people have of each other at hand. */
const PHOTOS_EACH = 3;
const SIZE_MAX = 100_000;

const OPTIONS = {
  images: requiredText("DIR", "a folder of person/photo.jpg"),
  pairs: text("FILE", "CSV a,b,same (1 or 0), paths in DIR; else all of one person, some of two"),
  scores: text("FILE", "write a,b,same,score of each pair; no score where there is no face"),
  plot: text("FILE", "write the error trade-off as SVG"),
  pack: text("NAME", "another pack than the one in use"),
  calibrate: flag("keep the threshold that --far asks for in the pack's local.json"),
  far: number(
    "F",
    `chance that a stranger is taken for anybody enrolled (default ${DEFAULT_FAR})`,
    { fallback: DEFAULT_FAR, min: 1e-9, max: 0.5, fractions: true },
  ),
  "gallery-size": number("N", "people enrolled at your door (default: half of those in DIR)", {
    fallback: undefined,
    min: 1,
    max: SIZE_MAX,
  }),
  "photos-each": number("N", `photos enrolled of each person (default ${PHOTOS_EACH})`, {
    fallback: PHOTOS_EACH,
    min: 1,
    max: 20,
  }),
  seed: number("N", "which pairs of two people are drawn (default 1)", {
    fallback: 1,
    min: 0,
    max: 2 ** 32 - 1,
  }),
};
type EvaluateValues = ValuesOf<typeof OPTIONS>;

/** The people of the folder, or those of the pairs alone. */
function peopleAndPairs(folder: string, values: EvaluateValues): [LabelledPeople[], Pair[]] {
  const file = values.pairs;
  if (file === undefined) {
    const people = peopleIn(folder).map(({ person, photos }) => ({
      person,
      photos: photos.map((photo) => relative(folder, photo)),
    }));
    const seed = values.seed;
    return [people, drawPairs(people, seed)];
  }
  if (!existsSync(file)) throw usageError(`there are no pairs at ${file}`);
  const pairs = parsePairs(readFileSync(file, "utf8"));
  const photos = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))].sort();
  const missing = photos.find((photo) => !existsSync(join(folder, photo)));
  if (missing !== undefined) {
    throw usageError(`the pairs name ${missing}, which is not in ${folder}`);
  }
  const people = new Map<string, string[]>();
  for (const photo of photos) {
    people.set(dirname(photo), [...(people.get(dirname(photo)) ?? []), photo]);
  }
  return [[...people].map(([person, own]) => ({ person, photos: own })), pairs];
}

/** Before minutes of work, not after. */
function checkedOutputs(values: EvaluateValues): void {
  for (const name of ["scores", "plot"] as const) {
    const path = values[name];
    if (path !== undefined && !existsSync(dirname(resolve(path)))) {
      throw usageError(`--${name}: there is no folder ${dirname(path)}`);
    }
  }
}

function write(path: string, content: string): void {
  try {
    writeFileSync(path, content);
  } catch (error) {
    const reason = `${path} cannot be written: ${messageOf(error)}`;
    throw new PorchlightError("evaluate.output", reason, { hint: "choose another place" });
  }
}

function words(
  pack: PackIdentity,
  { detection, verification, identification }: Evaluation,
): string {
  const rows = [[`faces found`, rateInWords(detection)]];
  if (verification !== null) {
    const { pairs, accuracy, equalErrorRate, points } = verification;
    const deviation = (accuracy.deviation * 100).toFixed(2);
    rows.push(
      ["pairs", `${pairs.same} of one person, ${pairs.different} of two`],
      ["accuracy, 10 folds", `${rateInWords(accuracy)}, ± ${deviation} between folds`],
      ["equal error rate", `${(equalErrorRate * 100).toFixed(2)} %`],
    );
    for (const { far, threshold, tar } of points) {
      rows.push([`TAR at FAR ${far * 100} %`, `${rateInWords(tar)}, match ≥ ${threshold}`]);
    }
  }
  const { galleries, peopleEnrolled, templates, thresholds } = identification;
  const { known, wrongPerson, ambiguous, unusable, falseAccepts } = identification;
  rows.push(
    ["enrolled", `${peopleEnrolled} people, ${templates} photos, in ${galleries} galleries`],
    ["rule", `match ≥ ${thresholds.match}, margin ≥ ${thresholds.margin}`],
    ["known", rateInWords(known)],
    ["taken for another", rateInWords(wrongPerson)],
    ["ambiguous", rateInWords(ambiguous)],
    ["no usable face", rateInWords(unusable)],
    ["false accepts", rateInWords(falseAccepts)],
  );
  return table([pack.id, ""], rows);
}

interface Goal {
  readonly far: number;
  readonly gallerySize: number;
  readonly photosEach: number;
}

function calibrated({ looks }: Evaluated, pack: PackIdentity, goal: Goal): Calibration {
  const people = new Map<string, Embedding[]>();
  for (const { person, embedding } of looks.values()) {
    if (embedding === null) continue;
    people.set(person, [...(people.get(person) ?? []), embedding]);
  }
  return calibrate(
    [...people].map(([person, embeddings]) => ({ person, embeddings })),
    {
      far: goal.far,
      templates: goal.gallerySize * goal.photosEach,
      thresholdMin: Math.min(...pack.thresholds.far.map(({ threshold }) => threshold)),
    },
  );
}

async function keep(
  { config, terminal, values }: Given<Invocation, typeof OPTIONS>,
  { match, comparisons, basis }: Calibration,
  pack: PackIdentity,
  { far, gallerySize }: Goal,
): Promise<void> {
  const { margin } = pack.thresholds;
  const calibratedAtMs = systemClock.now();
  const name = values.pack ?? config().models.pack;
  await writeLocal(join(modelsFolder(config()), name), {
    match,
    margin,
    far,
    gallerySize,
    calibratedAtMs,
  });
  terminal.note(
    `${pack.id}: match ≥ ${match} from the next start on (${basis}, ${comparisons} comparisons)`,
  );
  if (config().recognition.match?.[pack.name] !== undefined) {
    terminal.note(`recognition.match.${pack.name} of the configuration wins over it: remove it`);
  }
}

export const evaluate: Verb = verb({
  name: "evaluate",
  summary: "measure how well a pack recognises people, on your own photos",
  options: OPTIONS,
  example: "porchlight evaluate --images ~/photos/people --calibrate --far 1e-3",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { config, values, terminal, signal } = invocation;
    const folder = values.images;
    checkedOutputs(values);
    const [people, pairs] = peopleAndPairs(folder, values);
    const goal = {
      far: values.far,
      gallerySize: values["gallery-size"] ?? Math.ceil(people.length / 2),
      photosEach: values["photos-each"],
    };
    const name = values.pack ?? config().models.pack;
    await verifyPack(modelsFolder(config()), name);
    const packFolder = join(modelsFolder(config()), name);
    const vision = await openVision({
      ...visionOptions(config()),
      packFolder,
      logger: silentLogger,
    });
    try {
      const evaluated = await evaluatePeople(people, pairs, {
        ...goal,
        vision,
        folder,
        maxSidePx: config().recognition.maxSidePx,
        thresholds: thresholdsOf(config().recognition, vision.pack),
        signal,
        progress: (done, total) => terminal.progress("photos", done, total),
      });
      return await report(invocation, vision.pack, evaluated, goal);
    } finally {
      await vision.close();
    }
  },
});

async function report(
  invocation: Given<Invocation, typeof OPTIONS>,
  pack: PackIdentity,
  evaluated: Evaluated,
  goal: Goal,
): Promise<typeof EXIT.ok> {
  const { values, terminal } = invocation;
  const { evaluation, scored } = evaluated;
  const [scores, plot] = [values.scores, values.plot];
  if (scores !== undefined) write(scores, scoresCsv(scored));
  if (plot !== undefined && evaluation.verification !== null) {
    const { match: threshold } = evaluation.identification.thresholds;
    const title = `${pack.id}, ${scored.length} pairs`;
    write(plot, detSvg(curve(scored), { title, threshold }));
  }
  for (const { photo, reason } of evaluation.unreadable) terminal.note(`${photo}: ${reason}`);
  const calibration = values.calibrate ? calibrated(evaluated, pack, goal) : null;
  terminal.data({ pack: pack.id, ...evaluation, calibration }, words(pack, evaluation));
  if (evaluation.verification === null) {
    terminal.note("one-to-one rates need two people, one of them with two photos");
  }
  if (calibration !== null) await keep(invocation, calibration, pack, goal);
  return EXIT.ok;
}
