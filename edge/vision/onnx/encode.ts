import { invariant } from "../../../shared/core/errors.ts";
import {
  type Attribute,
  elementBytes,
  elementsOf,
  type Model,
  type Node,
  type Tensor,
  type Value,
} from "./model.ts";
import { ProtoWriter } from "./protobuf.ts";

/** AttributeProto.AttributeType. */
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

/** The bytes of an ONNX file. The same model gives the same bytes, so its sha256 can be pinned. */
export function encodeModel(model: Model): Buffer {
  return new ProtoWriter()
    .varint(1, model.irVersion)
    .string(2, "porchlight")
    .message(7, (graph) => writeGraph(graph, model))
    .message(8, (opset) => opset.string(1, "").varint(2, model.opset))
    .finish();
}

function writeGraph(graph: ProtoWriter, model: Model): void {
  for (const node of model.nodes) graph.message(1, (inner) => writeNode(inner, node));
  graph.string(2, model.name);
  for (const tensor of model.initialisers) graph.message(5, (inner) => writeTensor(inner, tensor));
  for (const value of model.inputs) graph.message(11, (inner) => writeValue(inner, value));
  for (const value of model.outputs) graph.message(12, (inner) => writeValue(inner, value));
}

function writeNode(out: ProtoWriter, node: Node): void {
  for (const name of node.inputs) out.string(1, name);
  for (const name of node.outputs) out.string(2, name);
  out.string(3, node.name).string(4, node.op);
  for (const name of Object.keys(node.attributes).sort()) {
    const attribute = node.attributes[name];
    if (attribute) out.message(5, (inner) => writeAttribute(inner, name, attribute));
  }
}

function writeAttribute(out: ProtoWriter, name: string, attribute: Attribute): void {
  out.string(1, name);
  switch (attribute.kind) {
    case "float":
      out.float(2, attribute.value);
      break;
    case "int":
      out.varint(3, attribute.value);
      break;
    case "string":
      out.string(4, attribute.value);
      break;
    case "tensor":
      out.message(5, (inner) => writeTensor(inner, attribute.value));
      break;
    case "floats":
      for (const value of attribute.value) out.float(7, value);
      break;
    case "ints":
      for (const value of attribute.value) out.varint(8, value);
      break;
  }
  out.varint(20, ATTRIBUTE_TYPE[attribute.kind]);
}

function writeTensor(out: ProtoWriter, tensor: Tensor): void {
  const sizeBytes = elementsOf(tensor.dims) * elementBytes(tensor.type);
  invariant(tensor.data.byteLength === sizeBytes, `${tensor.name} fills its shape`);
  if (tensor.dims.length > 0) out.packed(1, tensor.dims);
  out.varint(2, tensor.type).string(8, tensor.name).bytes(9, tensor.data);
}

function writeValue(out: ProtoWriter, value: Value): void {
  out.string(1, value.name).message(2, (type) =>
    type.message(1, (tensor) => {
      tensor.varint(1, value.type).message(2, (shape) => {
        for (const dim of value.dims) {
          shape.message(1, (inner) =>
            typeof dim === "number" ? inner.varint(1, dim) : inner.string(2, dim),
          );
        }
      });
    }),
  );
}
