import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { flag, text } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { similarity } from "../../shared/cli/words.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { visionOptions } from "../config/options.ts";
import { modelsFolder, programFolder } from "../config/paths.ts";
import { castFromFolders, castFromGroups } from "../demo/cast.ts";
import { type DemoCentre, hasCentre, startDemoCentre } from "../demo/centre.ts";
import { type DemoResult, type DemoVisit, runDemo } from "../demo/demo.ts";
import { clearFolder, defaultFolder } from "../demo/folder.ts";
import { openVision, type Vision } from "../vision/vision.ts";
import { peopleIn } from "./photos.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

const HOW_MADE = `Grace is enrolled from one photo and comes in another. Of the others the npm dependency has one photo
each: their scenes are made from it but share no pixels with the template, every frame having another
size, light, blur and place in a wider picture. A harder test: porchlight demo --photos DIR`;
const HOW_MADE_FOLDERS =
  "Half of each person's photos were enrolled, and only the others came to the door.";

/** Group photos inside an npm dependency, under the MIT licence. */
function bundledPhotos(): string {
  const entry = fileURLToPath(import.meta.resolve("@vladmandic/face-api/package.json"));
  const folder = join(dirname(entry), "demo");
  if (existsSync(folder)) return folder;
  // An installed program has the weights of that dependency, and not its photos.
  throw new PorchlightError("demo.photos", "no photos came with this installation", {
    exitCode: EXIT.notFound,
    hint: "show it your own: porchlight demo --no-centre --photos DIR, a folder of person/photo.jpg",
  });
}

function rowOf(visit: DemoVisit): string[] {
  const { msPerFrame: ms, arrivedAfterMs } = visit;
  const stages =
    ms === null
      ? ["-", "-", "-", "-"]
      : [ms.decodeMs, ms.detectMs, ms.embedMs, ms.matchMs].map((each) => each.toFixed(1));
  return [
    visit.stranger ? "a stranger" : visit.came,
    visit.outcome,
    visit.who ?? "",
    similarity(visit.score),
    similarity(visit.margin),
    ...stages,
    arrivedAfterMs === null ? "-" : `${arrivedAfterMs}`,
    visit.right ? "right" : "WRONG",
  ];
}

function words(result: DemoResult): string {
  const header = ["at the door", "decided", "who", "score", "margin"];
  const stages = ["decode ms", "detect ms", "embed ms", "match ms", "in centre, ms", ""];
  const right = result.visits.filter((visit) => visit.right).length;
  return [
    table([...header, ...stages], result.visits.map(rowOf)),
    "",
    `${right} of ${result.visits.length} visits right`,
    result.logWhole
      ? `the log is whole: ${result.logEntries} entries, every hash checked`
      : "THE LOG IS BROKEN",
    result.sealed
      ? "the store cannot be opened with another key, and holds no readable name"
      : "THE STORE IS READABLE",
    centreWords(result),
    `contact sheet: ${result.sheet}`,
    ...leftOut(result).map((step) => `LEFT OUT: ${step}`),
  ].join("\n");
}

function isFine(result: DemoResult): boolean {
  const { visits, logWhole, sealed, centre } = result;
  const fooled = visits.some(({ stranger, right }) => stranger && !right);
  return (
    leftOut(result).length === 0 &&
    logWhole &&
    sealed &&
    centre?.whole !== false &&
    !fooled &&
    visits.some(({ right }) => right)
  );
}

function centreWords({ centre, visits }: DemoResult): string {
  if (centre === null) return "no centre was asked for: the log stayed on the device";
  if (!centre.whole) return "THE CENTRE'S COPY OF THE LOG IS BROKEN";
  const delays = visits.flatMap(({ arrivedAfterMs }) => arrivedAfterMs ?? []);
  const most = delays.length === 0 ? "" : `, the slowest ${Math.max(...delays)} ms after the door`;
  return `the centre holds the same log, and ${centre.visits} visits in its PostgreSQL${most}`;
}

/** The demo's centre: without one, the sync of the log would be left out. */
async function centreIn(
  folder: string,
  { environment, signal, terminal }: Pick<Invocation, "environment" | "signal" | "terminal">,
): Promise<DemoCentre> {
  if (!hasCentre()) {
    throw new PorchlightError("demo.centre", "the centre is not part of this installation", {
      hint: "the device alone: porchlight demo --no-centre",
    });
  }
  terminal.note("starting a centre with its embedded broker and PostgreSQL …");
  return await startDemoCentre({ folder: join(folder, "centre"), environment, signal });
}

/** Steps that were to be seen and were not: a demo that leaves one out has failed. */
function leftOut({ visits, centre }: DemoResult): readonly string[] {
  const unseen = visits.filter(({ msPerFrame }) => msPerFrame === null).length;
  const kept = visits.filter(({ arrivedAfterMs }) => arrivedAfterMs === null).length;
  return [
    ...(unseen > 0 ? [`${unseen} of ${visits.length} visits were not seen at the door`] : []),
    ...(centre !== null && kept > 0
      ? [`${kept} of ${visits.length} visits did not reach the centre in time`]
      : []),
  ];
}

export const demo: Verb = verb({
  name: "demo",
  summary:
    "see it work on real photos: enrol, recognise, refuse a stranger, send the log to a centre",
  options: {
    photos: text("DIR", "use your own: a folder of person/photo.jpg"),
    "no-centre": flag("the device alone: nothing is sent"),
  },
  example: "porchlight demo --photos ~/photos/family",
  operands: NO_OPERANDS,
  async run({ config, data, terminal, values, signal, environment }) {
    const folder = data ?? defaultFolder(programFolder(), environment);
    const own = values.photos;
    const photos = own ?? bundledPhotos();
    clearFolder(folder, data === undefined);
    const alone = values["no-centre"];
    // Its processes start while this one loads the nets and looks at the photos.
    const starting = alone ? null : centreIn(folder, { environment, signal, terminal });
    // Where it cannot start is said below, where it is needed.
    starting?.catch(() => undefined);
    let vision: Vision | undefined;
    try {
      vision = await openVision({ ...visionOptions(config()), logger: silentLogger });
      terminal.note(`model pack ${vision.pack.id} on ${vision.provider}`);
      const actors =
        own === undefined
          ? await castFromGroups(vision, photos)
          : await castFromFolders(peopleIn(photos));
      terminal.note(own === undefined ? HOW_MADE : HOW_MADE_FOLDERS);
      const centre = await starting;
      const result = await runDemo(vision, {
        folder,
        actors,
        modelsFolder: modelsFolder(config()),
        pack: config().models.pack,
        signal,
        centre,
        note: terminal.note,
        progress: terminal.progress,
      });
      terminal.data(result, words(result));
      return isFine(result) ? EXIT.ok : EXIT.failed;
    } finally {
      await vision?.close();
      await (await starting?.catch(() => null))?.stop();
    }
  },
});
