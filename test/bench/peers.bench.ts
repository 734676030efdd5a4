/**
 * How fast is the pipeline beside others that do the same with the same weights? From a decoded
 * frame to faces with embeddings, by turns with a peer in a process of its own, one thread each.
 * Expected: a third of the time of face-api on TensorFlow.js (WebAssembly, one detector pass where
 * ours makes three); half of OpenCV 4's with YuNet and SFace, and three quarters of OpenCV 5's for
 * one face. The pack looks at each face twice; without that it does what OpenCV does.
 * 640 × 480, where every one of them shows its detector the whole frame.
 */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dequantiseWeights, keepRealInputs } from "../../edge/vision/convert/rewrite.ts";
import type { RgbImage } from "../../edge/vision/face.ts";
import { decodeImage } from "../../edge/vision/image.ts";
import { decodeModel } from "../../edge/vision/onnx/decode.ts";
import { encodeModel } from "../../edge/vision/onnx/encode.ts";
import { packSchema } from "../../edge/vision/pack-schema.ts";
import { openVision, type Vision } from "../../edge/vision/vision.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { paired, quantile, report } from "../support/bench.ts";
import { frameOf, type Peer, portraitOf, startPeer } from "../support/frames.ts";
import { npmPeers, opencvPython } from "../support/peers.ts";
import { BUNDLED_PHOTOS, DEFAULT_PACK } from "../support/people.ts";
import { benchPack, sharedData } from "../support/shared-data.ts";
import { tempFolder } from "../support/temp.ts";

const [WIDTH, HEIGHT] = [640, 480];
const ROUNDS = { rounds: 30, warmUp: 5 };
const OPENCV = ["4.14.0.94", "5.0.0.93"];
/** Its surest face alone, as a door mostly has it, and the whole of it with three or four people. */
const PHOTO = "sample1.jpg";
const FACE_API = [
  "@vladmandic/face-api@1.7.15",
  "@tensorflow/tfjs@4.22.0",
  "@tensorflow/tfjs-backend-wasm@4.22.0",
];

const folder = tempFolder("bench-peers");
const raw = join(folder.path, "frame.rgb");
const shape = [String(WIDTH), String(HEIGHT), raw];

async function compare(packFolder: string, start: () => Promise<Peer>, how = ""): Promise<void> {
  const vision = await openVision({ packFolder, threads: 1, logger: silentLogger });
  const photo = await decodeImage(readFileSync(join(BUNDLED_PHOTOS, PHOTO)));
  const [face] = await vision.detect(photo);
  if (face === undefined) throw new Error("there is a face in the photo");
  for (const frame of [
    await portraitOf(WIDTH, HEIGHT, face, PHOTO),
    await frameOf(WIDTH, HEIGHT, PHOTO),
  ]) {
    writeFileSync(raw, frame.data);
    await compareOn(frame, vision, start, how);
  }
  await vision.close();
}

async function compareOn(
  frame: RgbImage,
  vision: Vision,
  start: () => Promise<Peer>,
  how: string,
): Promise<void> {
  const peer = await start();
  const faces = await peer.look();
  const times = await paired(
    () => vision.analyse(frame),
    () => peer.look(),
    ROUNDS,
  );
  const ours = (await vision.analyse(frame)).faces.length;
  const of = {
    bench: "peers",
    case: `${vision.pack.id}${how} (${ours}) vs ${peer.name} (${faces})`,
  };
  for (const [metric, part] of [
    ["p10", 0.1],
    ["p50", 0.5],
  ] as const) {
    const [value, baseline] = [quantile(times.ours, part), quantile(times.theirs, part)];
    report({ ...of, metric: `frame to embeddings ${metric}`, value, unit: "ms", baseline });
  }
  peer.close();
}

/** The pack doing what its peers do and no more: it looks at no face again for better points. */
function withoutSecondLook(packFolder: string): string {
  const copy = join(folder.path, "one-look");
  cpSync(packFolder, copy, { recursive: true });
  const file = join(copy, "pack.json");
  const pack = packSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  const { secondLook: _, ...detector } = pack.models.detector;
  writeFileSync(file, JSON.stringify({ ...pack, models: { ...pack.models, detector } }));
  return copy;
}

/** As published, but float32 and without its weights among the inputs: OpenCV 5 refuses those. */
function plainSface(path: string): Buffer {
  const model = decodeModel(readFileSync(path));
  keepRealInputs(model);
  dequantiseWeights(model);
  return encodeModel(model);
}

const faceApi = npmPeers("face-api", FACE_API);
if (faceApi !== null) {
  const args = ["test/bench/peers/face-api.mjs", faceApi, ...shape];
  await compare(DEFAULT_PACK, () => startPeer(process.execPath, args));
}

const published = sharedData("models");
const opencv = await benchPack("opencv");
if (published !== null && opencv !== null) {
  const sface = join(folder.path, "sface.onnx");
  writeFileSync(sface, plainSface(join(published, "face_recognition_sface_2021dec_int8bq.onnx")));
  const nets = [join(published, "face_detection_yunet_2023mar.onnx"), sface];
  const oneLook = withoutSecondLook(opencv);
  for (const version of OPENCV) {
    const python = opencvPython(version);
    if (python === null) continue;
    const args = ["test/bench/peers/opencv.py", ...nets, ...shape];
    await compare(opencv, () => startPeer(python, args));
    await compare(oneLook, () => startPeer(python, args), ", one look");
  }
}
folder.remove();
