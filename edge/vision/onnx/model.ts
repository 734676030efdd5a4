import { endianness } from "node:os";
import { invariant } from "../../../shared/core/errors.ts";

/**
 * A neural net as ONNX describes it, reduced to what our nets use: one graph without subgraphs.
 * Tensors hold little-endian bytes. Field and type numbers: onnx/onnx.proto (ONNX 1.16).
 */
export interface Model {
  readonly irVersion: number;
  /** Version of the standard operator set (domain ""). */
  readonly opset: number;
  readonly name: string;
  nodes: Node[];
  initialisers: Tensor[];
  inputs: Value[];
  outputs: Value[];
}

export interface Node {
  readonly op: string;
  readonly name: string;
  readonly inputs: string[];
  readonly outputs: string[];
  readonly attributes: Record<string, Attribute>;
}

export type Attribute =
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "tensor"; readonly value: Tensor };

/** TensorProto.DataType, the ones we meet. */
export const ELEMENT = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const;

const ELEMENT_BYTES: Readonly<Record<number, number>> = { 1: 4, 2: 1, 3: 1, 6: 4, 7: 8 };

export interface Tensor {
  readonly name: string;
  readonly type: number;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

/** An input or output of the graph; a dimension is a size or a symbol such as "batch". */
export interface Value {
  readonly name: string;
  readonly type: number;
  readonly dims: readonly (number | string)[];
}

// Every platform ONNX Runtime ships for is little-endian, so a Float32Array's bytes are the file's.
invariant(endianness() === "LE", "this machine is little-endian");

export function elementsOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

export function elementBytes(type: number): number {
  const bytes = ELEMENT_BYTES[type];
  invariant(bytes !== undefined, `element type ${type} is one our nets use`);
  return bytes;
}

export function floatTensor(
  name: string,
  dims: readonly number[],
  values: ArrayLike<number>,
): Tensor {
  invariant(values.length === elementsOf(dims), `${name} fills its shape`);
  return {
    name,
    type: ELEMENT.float32,
    dims,
    data: new Uint8Array(Float32Array.from(values).buffer),
  };
}

export function intTensor(name: string, values: readonly number[]): Tensor {
  const data = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => {
    data.writeBigInt64LE(BigInt(value), i * 8);
  });
  return { name, type: ELEMENT.int64, dims: [values.length], data };
}

/** The numbers of a tensor of any type we meet. */
export function numbersOf(tensor: Tensor): Float64Array {
  const { data, type } = tensor;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const size = elementBytes(type);
  const out = new Float64Array(data.byteLength / size);
  for (let i = 0; i < out.length; i++) {
    if (type === ELEMENT.float32) out[i] = view.getFloat32(i * 4, true);
    else if (type === ELEMENT.uint8) out[i] = view.getUint8(i);
    else if (type === ELEMENT.int8) out[i] = view.getInt8(i);
    else if (type === ELEMENT.int32) out[i] = view.getInt32(i * 4, true);
    else out[i] = Number(view.getBigInt64(i * 8, true));
  }
  return out;
}

export function int(value: number): Attribute {
  return { kind: "int", value };
}

export function ints(value: readonly number[]): Attribute {
  return { kind: "ints", value };
}

export function float(value: number): Attribute {
  return { kind: "float", value };
}
