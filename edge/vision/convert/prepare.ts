import { decodeModel } from "../onnx/decode.ts";
import { encodeModel } from "../onnx/encode.ts";
import { cutDeadChannels } from "./dead-channels.ts";
import { zeroDenormals } from "./denormals.ts";
import { expandPrelu } from "./prelu.ts";
import {
  dequantiseWeights,
  flattenOutput,
  keepRealInputs,
  renameOutput,
  rewriteStem,
  takeImage,
} from "./rewrite.ts";

export type Preparation = "yunet" | "sface" | "mobilefacenet" | "compact" | "none";

/**
 * Turns a net as it was published into one of ours, once, when it is pulled: uint8 NHWC RGB in,
 * weights that run as they are. The same file gives the same bytes, so the result is pinned too.
 * "none": it was published as one of ours.
 */
export function prepareNet(preparation: Preparation, published: Uint8Array): Buffer {
  switch (preparation) {
    case "yunet":
      return prepareYunet(published);
    case "sface":
      return prepareSface(published);
    case "mobilefacenet":
      return prepareMobilefacenet(published);
    case "compact":
      return prepareCompact(published);
    case "none":
      return Buffer.from(published);
  }
}

/**
 * YuNet was trained on BGR, 0..255. Nothing in the published graph depends on its 640 × 640, so the
 * sides become free (multiples of 32); outputs at 640 × 640 stay the same to 3e-6.
 */
function prepareYunet(published: Uint8Array): Buffer {
  const model = decodeModel(published);
  rewriteStem(model, { from: [2, 1, 0], scale: [1, 1, 1] });
  takeImage(model, { batch: 1, height: "height", width: "width" });
  model.outputs = model.outputs.map((output) => {
    const values = output.dims.at(-1) ?? 1;
    return { ...output, dims: [1, `cells_${output.name.split("_")[1]}`, values] };
  });
  return encodeModel(model);
}

/** SFace takes RGB, 0..255, and has mean and scale in its graph. int8 blocks or float32 alike. */
function prepareSface(published: Uint8Array): Buffer {
  const model = decodeModel(published);
  keepRealInputs(model);
  dequantiseWeights(model);
  expandPrelu(model);
  takeImage(model, { batch: "batch", height: 112, width: 112 });
  renameOutput(model, "embedding", ["batch", 128]);
  return encodeModel(model);
}

/** Mean and deviation of ImageNet, RGB, of values in 0..1. */
const IMAGENET_MEAN = [0.485, 0.456, 0.406];
const IMAGENET_DEVIATION = [0.229, 0.224, 0.225];

/**
 * (v / 255 - mean) / deviation = (v - 255 mean) / (255 deviation): the mean is subtracted, so that
 * the zero padding stays where it was, and the division is folded into the first filters.
 */
function prepareMobilefacenet(published: Uint8Array): Buffer {
  const model = decodeModel(published);
  flattenOutput(model);
  rewriteStem(model, {
    from: [0, 1, 2],
    scale: IMAGENET_DEVIATION.map((deviation) => 1 / (255 * deviation)),
  });
  takeImage(model, {
    batch: "batch",
    height: 112,
    width: 112,
    meanRgb: IMAGENET_MEAN.map((mean) => mean * 255),
  });
  renameOutput(model, "embedding", ["batch", 128]);
  return encodeModel(model);
}

/**
 * A MobileFaceNet that was trained on (v - 127.5) / 128 of BGR. A third of its channels are dead and
 * 179,902 of its weights so small that they make denormals: as published it takes 55 ms, without
 * those 6.9, with PRelu expanded 3.7 and with the dead channels cut 2.8 (one core of an AMD EPYC).
 */
function prepareCompact(published: Uint8Array): Buffer {
  const model = decodeModel(published);
  flattenOutput(model);
  zeroDenormals(model);
  cutDeadChannels(model);
  expandPrelu(model);
  rewriteStem(model, { from: [2, 1, 0], scale: [1 / 128, 1 / 128, 1 / 128] });
  takeImage(model, {
    batch: "batch",
    height: 112,
    width: 112,
    meanRgb: [127.5, 127.5, 127.5],
  });
  renameOutput(model, "embedding", ["batch", 512]);
  return encodeModel(model);
}
