// face-api on TensorFlow.js with its WebAssembly backend: for each line on stdin one frame, faces
// found on stdout. The same weights as the default pack's, in their author's own pipeline.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [folder, width, height, path] = process.argv.slice(2);
// Not a `require` the linter knows: these packages are the bench's, not the program's.
const load = createRequire(join(folder, "package.json"));
const tf = load("@tensorflow/tfjs");
const wasm = load("@tensorflow/tfjs-backend-wasm");
const packageFolder = join(folder, "node_modules/@vladmandic/face-api");
const faceapi = load(join(packageFolder, "dist/face-api.node-wasm.js"));

wasm.setWasmPaths(join(folder, "node_modules/@tensorflow/tfjs-backend-wasm/dist/"));
await tf.setBackend("wasm");
await tf.ready();
const weights = join(packageFolder, "model");
await faceapi.nets.tinyFaceDetector.loadFromDisk(weights);
await faceapi.nets.faceLandmark68Net.loadFromDisk(weights);
await faceapi.nets.faceRecognitionNet.loadFromDisk(weights);
const options = new faceapi.TinyFaceDetectorOptions({ inputSize: 416, scoreThreshold: 0.5 });
const frame = tf.tensor3d(readFileSync(path), [Number(height), Number(width), 3], "int32");
process.stdout.write(`tfjs ${tf.version.tfjs} ${tf.getBackend()}\n`);
for await (const _ of createInterface({ input: process.stdin })) {
  const faces = await faceapi
    .detectAllFaces(frame, options)
    .withFaceLandmarks()
    .withFaceDescriptors();
  process.stdout.write(`${faces.length}\n`);
}
