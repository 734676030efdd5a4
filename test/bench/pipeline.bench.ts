/**
 * What does everything around the nets cost? From a decoded frame to faces with embeddings, against
 * the same runs of the same nets on the same inputs and nothing else.
 * Expected: at most 1.15 times the bare nets; 20 to 60 ms a frame with three faces on one core.
 * p10 is what they cost where nothing else runs; p50 includes what the machine did besides.
 * The frame is a photo of three people from the npm dependency, one thread a net.
 */
import { InferenceSession, Tensor } from "onnxruntime-node";
import { decodeImage, encodeJpeg } from "../../edge/vision/image.ts";
import { openVision } from "../../edge/vision/vision.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { paired, quantile, report } from "../support/bench.ts";
import { frameOf } from "../support/frames.ts";
import { DEFAULT_PACK } from "../support/people.ts";
import { benchPack } from "../support/shared-data.ts";

const ROUNDS = { rounds: 60, warmUp: 10 };
const SIZES = [
  [640, 480],
  [1280, 720],
] as const;

/** A tensor as it is handed to a net of ours: one uint8 picture, or a batch of them. */
interface Picture {
  readonly type: "uint8";
  readonly data: Uint8Array;
  readonly dims: readonly number[];
}
type Run = (feeds: Readonly<Record<string, Picture>>, ...more: unknown[]) => Promise<unknown>;

/** The class itself, which the package types only as a factory. */
const { prototype } = InferenceSession as unknown as { prototype: { run: Run } };

/** What was run while `work` was done: each session again with a copy of its input. */
async function recorded(work: () => Promise<unknown>): Promise<(() => Promise<unknown>)[]> {
  const runs: (() => Promise<unknown>)[] = [];
  const { run } = prototype;
  prototype.run = async function (feeds, ...more) {
    const copies = Object.entries(feeds).map(([name, { type, data, dims }]): [string, Picture] => [
      name,
      new Tensor(type, data.slice(), dims) as Picture, // made as uint8
    ]);
    runs.push(() => run.call(this, Object.fromEntries(copies)));
    return await run.call(this, feeds, ...more);
  };
  await work();
  prototype.run = run;
  return runs;
}

for (const pack of ["default", "opencv", "mobilefacenet", "compact", "compact-yunet"]) {
  const packFolder = pack === "default" ? DEFAULT_PACK : await benchPack(pack);
  if (packFolder === null) continue;
  const vision = await openVision({ packFolder, threads: 1, logger: silentLogger });
  for (const [width, height] of SIZES) {
    const frame = await frameOf(width, height);
    const { faces } = await vision.analyse(frame);
    const runs = await recorded(() => vision.analyse(frame));
    const bare = async (): Promise<void> => {
      for (const each of runs) await each();
    };
    const times = await paired(() => vision.analyse(frame), bare, ROUNDS);
    const of = { bench: "pipeline", case: `${pack} ${width}×${height}, ${faces.length} faces` };
    for (const [metric, part] of [
      ["p10", 0.1],
      ["p50", 0.5],
    ] as const) {
      const [value, baseline] = [quantile(times.ours, part), quantile(times.theirs, part)];
      report({ ...of, metric: `frame to embeddings ${metric}`, value, unit: "ms", baseline });
    }
  }
  await vision.close();
}

for (const [width, height] of SIZES) {
  const jpeg = await encodeJpeg(await frameOf(width, height));
  const decode = () => decodeImage(jpeg);
  const { ours } = await paired(decode, async () => undefined, ROUNDS);
  const value = quantile(ours, 0.5);
  const of = { bench: "pipeline", case: `JPEG ${width}×${height}` };
  report({ ...of, metric: "decode p50", value, unit: "ms", baseline: null });
}
