import { PorchlightError } from "../../../shared/core/errors.ts";
import {
  type Attribute,
  ELEMENT,
  elementBytes,
  elementsOf,
  type Model,
  type Node,
  type Tensor,
  type Value,
} from "./model.ts";
import { type ProtoField, readFields, signed, varintsOf } from "./protobuf.ts";

/** Reads an ONNX file as data. What our nets do not use (subgraphs, external data) is refused. */
export function decodeModel(file: Uint8Array): Model {
  let irVersion = 0;
  let opset = 0;
  let graph: Uint8Array | undefined;
  for (const field of readFields(file)) {
    if (field.number === 1) irVersion = intOf(field);
    else if (field.number === 7) graph = bytesOf(field);
    else if (field.number === 8) opset = Math.max(opset, opsetOf(bytesOf(field)));
  }
  if (!graph || opset === 0) throw unsupported("it has no graph or no operator set");
  return { irVersion, opset, ...graphOf(graph) };
}

function opsetOf(message: Uint8Array): number {
  let domain = "";
  let version = 0;
  for (const field of readFields(message)) {
    if (field.number === 1) domain = textOf(field);
    else if (field.number === 2) version = intOf(field);
  }
  return domain === "" || domain === "ai.onnx" ? version : 0;
}

function graphOf(message: Uint8Array): Omit<Model, "irVersion" | "opset"> {
  const graph = {
    name: "",
    nodes: [] as Node[],
    initialisers: [] as Tensor[],
    inputs: [] as Value[],
    outputs: [] as Value[],
  };
  for (const field of readFields(message)) {
    if (field.number === 1) graph.nodes.push(nodeOf(bytesOf(field)));
    else if (field.number === 2) graph.name = textOf(field);
    else if (field.number === 5) graph.initialisers.push(tensorOf(bytesOf(field)));
    else if (field.number === 11) graph.inputs.push(graphValueOf(bytesOf(field)));
    else if (field.number === 12) graph.outputs.push(graphValueOf(bytesOf(field)));
  }
  return graph;
}

function nodeOf(message: Uint8Array): Node {
  const node = { op: "", name: "", inputs: [] as string[], outputs: [] as string[] };
  const attributes: Record<string, Attribute> = {};
  for (const field of readFields(message)) {
    if (field.number === 1) node.inputs.push(textOf(field));
    else if (field.number === 2) node.outputs.push(textOf(field));
    else if (field.number === 3) node.name = textOf(field);
    else if (field.number === 4) node.op = textOf(field);
    else if (field.number === 5) {
      const [name, attribute] = attributeOf(bytesOf(field));
      attributes[name] = attribute;
    } else if (field.number === 7 && textOf(field) !== "") {
      throw unsupported(`operator domain ${textOf(field)}`);
    }
  }
  return { ...node, attributes };
}

function attributeOf(message: Uint8Array): [name: string, attribute: Attribute] {
  let name = "";
  let attribute: Attribute | undefined;
  const intList: number[] = [];
  const floatList: number[] = [];
  for (const field of readFields(message)) {
    if (field.number === 1) name = textOf(field);
    else if (field.number === 2) attribute = { kind: "float", value: floatsOf(field)[0] ?? 0 };
    else if (field.number === 3) attribute = { kind: "int", value: intOf(field) };
    else if (field.number === 4) attribute = { kind: "string", value: textOf(field) };
    else if (field.number === 5) attribute = { kind: "tensor", value: tensorOf(bytesOf(field)) };
    else if (field.number === 7) floatList.push(...floatsOf(field));
    else if (field.number === 8) intList.push(...varintsOf(field).map(Number));
    else if (field.number === 6 || field.number === 11) throw unsupported("a graph in a node");
  }
  if (floatList.length > 0) attribute = { kind: "floats", value: floatList };
  return [name, attribute ?? { kind: "ints", value: intList }];
}

function tensorOf(message: Uint8Array): Tensor {
  const dims: number[] = [];
  const numbers: number[] = [];
  let name = "";
  let type = 0;
  let data: Uint8Array | undefined;
  for (const field of readFields(message)) {
    if (field.number === 1) dims.push(...varintsOf(field).map(Number));
    else if (field.number === 2) type = intOf(field);
    else if (field.number === 4) numbers.push(...floatsOf(field));
    else if (field.number === 5 || field.number === 7) {
      numbers.push(...varintsOf(field).map(Number));
    } else if (field.number === 8) name = textOf(field);
    else if (field.number === 9) data = bytesOf(field);
    else if (field.number === 13 || field.number === 14) throw unsupported("external weights");
  }
  const tensor = { name, type, dims, data: data ?? packNumbers(type, numbers) };
  if (tensor.data.byteLength !== elementsOf(dims) * elementBytes(type)) {
    throw unsupported(`tensor ${name} does not fill its shape`);
  }
  return tensor;
}

/** Tensors may list their numbers one by one instead of as raw bytes. */
function packNumbers(type: number, numbers: readonly number[]): Uint8Array {
  const size = elementBytes(type);
  const data = Buffer.alloc(numbers.length * size);
  numbers.forEach((value, i) => {
    if (type === ELEMENT.float32) data.writeFloatLE(value, i * 4);
    else if (type === ELEMENT.int64) data.writeBigInt64LE(BigInt(value), i * 8);
    else if (type === ELEMENT.int32) data.writeInt32LE(value, i * 4);
    else data[i] = value;
  });
  return data;
}

function graphValueOf(message: Uint8Array): Value {
  let name = "";
  let type = 0;
  const dims: (number | string)[] = [];
  for (const field of readFields(message)) {
    if (field.number === 1) name = textOf(field);
    else if (field.number === 2) {
      for (const tensor of messagesOf(bytesOf(field), 1)) {
        for (const inner of readFields(tensor)) {
          if (inner.number === 1) type = intOf(inner);
          else if (inner.number === 2) dims.push(...messagesOf(bytesOf(inner), 1).map(dimOf));
        }
      }
    }
  }
  return { name, type, dims };
}

function dimOf(message: Uint8Array): number | string {
  for (const field of readFields(message)) {
    if (field.number === 1) return intOf(field);
    if (field.number === 2) return textOf(field);
  }
  return "unknown";
}

function messagesOf(message: Uint8Array, number: number): Uint8Array[] {
  return [...readFields(message)].filter((field) => field.number === number).map(bytesOf);
}

function bytesOf(field: ProtoField): Buffer {
  if (field.kind === "varint") throw unsupported(`field ${field.number} is not a message`);
  return field.value;
}

function textOf(field: ProtoField): string {
  return bytesOf(field).toString("utf8");
}

function intOf(field: ProtoField): number {
  if (field.kind !== "varint") throw unsupported(`field ${field.number} is not a number`);
  return Number(signed(field.value));
}

/** float32 values, packed or one by one. */
function floatsOf(field: ProtoField): number[] {
  const bytes = bytesOf(field);
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}

function unsupported(reason: string): PorchlightError {
  return new PorchlightError("model.file.unsupported", `cannot read this ONNX file: ${reason}`, {
    hint: "run: porchlight models verify",
  });
}
