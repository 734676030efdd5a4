import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { encodeModel } from "../../onnx/encode.ts";
import type { Model } from "../../onnx/model.ts";
import { dlibResnet } from "./dlib-resnet.ts";
import { landmarks68 } from "./landmarks-68.ts";
import { ssdMobilenet } from "./ssd-mobilenet.ts";
import { readWeights, type Weights } from "./tfjs-weights.ts";
import { tinyFaceDetector } from "./tiny-face-detector.ts";

interface Recipe {
  readonly weights: string;
  readonly graph: (weights: Weights) => Model;
}

/** Which weights of the npm package become which net, by architecture. */
const RECIPES: Readonly<Record<string, Recipe>> = {
  "tiny-face-detector": { weights: "tiny_face_detector_model", graph: tinyFaceDetector },
  "ssd-mobilenet": { weights: "ssd_mobilenetv1_model", graph: ssdMobilenet },
  "landmarks-68": { weights: "face_landmark_68_model", graph: landmarks68 },
  "dlib-resnet": { weights: "face_recognition_model", graph: dlibResnet },
};

export function canBuild(architecture: string): boolean {
  return RECIPES[architecture] !== undefined;
}

/**
 * The bytes of a net, converted from the weights inside the npm dependency @vladmandic/face-api
 * (MIT). The weights are read as data; none of the package's code runs.
 */
export function buildNet(architecture: string): Buffer {
  const recipe = RECIPES[architecture];
  if (!recipe) throw new Error(`invariant broken: no recipe for ${architecture}`);
  return encodeModel(recipe.graph(readWeights(weightsPath(recipe.weights))));
}

function weightsPath(name: string): string {
  const root = dirname(createRequire(import.meta.url).resolve("@vladmandic/face-api/package.json"));
  return join(root, "model", `${name}-weights_manifest.json`);
}
