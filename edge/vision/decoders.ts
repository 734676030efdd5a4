import { invariant } from "../../shared/core/errors.ts";
import type { Detection } from "./detection.ts";
import type { Output, Outputs } from "./session.ts";

export const DETECTORS = ["yunet", "tiny-face-detector", "ssd-mobilenet"] as const;

export type DetectorArchitecture = (typeof DETECTORS)[number];

/** Width and height of the canvas the net looked at, and the least score that counts. */
export interface DecodeOptions {
  readonly width: number;
  readonly height: number;
  readonly scoreMin: number;
}

/** What a net's outputs mean: faces in pixels of the canvas, not yet thinned out. */
export type Decoder = (outputs: Outputs, options: DecodeOptions) => Detection[];

export const DECODERS: Readonly<Record<DetectorArchitecture, Decoder>> = {
  yunet: decodeYunet,
  "tiny-face-detector": decodeTiny,
  "ssd-mobilenet": decodeSsd,
};

/**
 * YuNet (W. Wu et al., Machine Intelligence Research 20, 2023): for strides s of 8, 16 and 32 one
 * anchor a cell, row-major; class and objectness are sigmoids already, box and points are in
 * strides from the cell.
 */
function decodeYunet(outputs: Outputs, { width, height, scoreMin }: DecodeOptions): Detection[] {
  const found: Detection[] = [];
  for (const stride of [8, 16, 32]) {
    const columns = width / stride;
    const classes = take(outputs, `cls_${stride}`).data;
    const objects = take(outputs, `obj_${stride}`).data;
    const boxes = take(outputs, `bbox_${stride}`).data;
    const points = take(outputs, `kps_${stride}`).data;
    invariant(classes.length === columns * (height / stride), "one anchor a cell");
    const productMin = scoreMin * scoreMin;
    for (let cell = 0; cell < classes.length; cell++) {
      const product = (classes[cell] ?? 0) * (objects[cell] ?? 0);
      if (product < productMin) continue;
      const column = cell % columns;
      const row = (cell - column) / columns;
      const boxWidth = Math.exp(boxes[cell * 4 + 2] ?? 0) * stride;
      const boxHeight = Math.exp(boxes[cell * 4 + 3] ?? 0) * stride;
      found.push({
        score: Math.min(Math.sqrt(product), 1),
        box: {
          x: (column + (boxes[cell * 4] ?? 0)) * stride - boxWidth / 2,
          y: (row + (boxes[cell * 4 + 1] ?? 0)) * stride - boxHeight / 2,
          width: boxWidth,
          height: boxHeight,
        },
        points: points
          .slice(cell * 10, cell * 10 + 10)
          .map((value, i) => ((i % 2 === 0 ? column : row) + value) * stride),
      });
    }
  }
  return found;
}

const TINY_STRIDE = 32;
/** Anchor width and height in cells, from the configuration inside face-api. */
const TINY_ANCHORS = [
  [1.603231, 2.094468],
  [6.041143, 7.080126],
  [2.882459, 3.518061],
  [4.266906, 5.178857],
  [9.041765, 10.66308],
] as const;

/** YOLOv2 cells (J. Redmon, A. Farhadi, CVPR 2017) of five anchors, without classes. */
function decodeTiny(outputs: Outputs, { scoreMin }: DecodeOptions): Detection[] {
  const { data, dims } = take(outputs, "grid");
  const [, rows = 0, columns = 0, depth = 0] = dims;
  invariant(depth === 5 * TINY_ANCHORS.length, "five numbers an anchor");
  const logitMin = Math.log(scoreMin / (1 - scoreMin));
  const found: Detection[] = [];
  for (let cell = 0; cell < rows * columns; cell++) {
    TINY_ANCHORS.forEach(([anchorWidth, anchorHeight], anchor) => {
      const at = cell * depth + anchor * 5;
      const objectness = data[at + 4] ?? Number.NEGATIVE_INFINITY;
      if (objectness < logitMin) return;
      const width = Math.exp(data[at + 2] ?? 0) * anchorWidth * TINY_STRIDE;
      const height = Math.exp(data[at + 3] ?? 0) * anchorHeight * TINY_STRIDE;
      const column = cell % columns;
      const row = (cell - column) / columns;
      found.push({
        score: sigmoid(objectness),
        box: {
          x: (column + sigmoid(data[at] ?? 0)) * TINY_STRIDE - width / 2,
          y: (row + sigmoid(data[at + 1] ?? 0)) * TINY_STRIDE - height / 2,
          width,
          height,
        },
      });
    });
  }
  return found;
}

/** Scale of the encoded centre and size, from TensorFlow's object detection box coder. */
const SSD_CENTRE_SCALE = 10;
const SSD_SIZE_SCALE = 5;

/** SSD (W. Liu et al., ECCV 2016) with the anchors that travel in the net. Class 1 is a face. */
function decodeSsd(outputs: Outputs, { width, height, scoreMin }: DecodeOptions): Detection[] {
  const encodings = take(outputs, "encodings").data;
  const classes = take(outputs, "classes").data;
  const anchors = take(outputs, "anchor_corners").data;
  const logitMin = Math.log(scoreMin / (1 - scoreMin));
  const found: Detection[] = [];
  for (let i = 0; i < classes.length / 3; i++) {
    const logit = classes[i * 3 + 1] ?? Number.NEGATIVE_INFINITY;
    if (logit < logitMin) continue;
    const [top = 0, left = 0, bottom = 0, right = 0] = anchors.subarray(i * 4, i * 4 + 4);
    const [dy = 0, dx = 0, dh = 0, dw = 0] = encodings.subarray(i * 4, i * 4 + 4);
    const centreY = (dy / SSD_CENTRE_SCALE) * (bottom - top) + (top + bottom) / 2;
    const centreX = (dx / SSD_CENTRE_SCALE) * (right - left) + (left + right) / 2;
    const boxHeight = Math.exp(dh / SSD_SIZE_SCALE) * (bottom - top);
    const boxWidth = Math.exp(dw / SSD_SIZE_SCALE) * (right - left);
    found.push({
      score: sigmoid(logit),
      box: {
        x: (centreX - boxWidth / 2) * width,
        y: (centreY - boxHeight / 2) * height,
        width: boxWidth * width,
        height: boxHeight * height,
      },
    });
  }
  return found;
}

function take(outputs: Outputs, name: string): Output {
  const output = outputs[name];
  invariant(output, `a net of this architecture has the output ${name}`);
  return output;
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
