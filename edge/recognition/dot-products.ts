import { encodeModel } from "../vision/onnx/encode.ts";
import { ELEMENT } from "../vision/onnx/model.ts";
import { loadRuntime } from "../vision/session.ts";

type DotProducts = (rows: Float32Array, vector: Float32Array) => Promise<Float32Array>;

/** One net for all sizes, made when it is first asked for. */
let product: Promise<DotProducts> | undefined;

/**
 * The dot product of each row with a vector, by the runtime's vector instructions: 0.3 ms for
 * 10,000 × 128 where a loop in JavaScript takes 1.5. On the processor, whatever computes the nets.
 */
export async function dotProducts(rows: Float32Array, vector: Float32Array): Promise<Float32Array> {
  product ??= openProduct();
  const multiply = await product;
  return multiply(rows, vector);
}

async function openProduct(): Promise<DotProducts> {
  const { InferenceSession: Sessions, Tensor } = await loadRuntime();
  const session = await Sessions.create(PRODUCT, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  return async (rows, vector) => {
    const { length } = vector;
    const products = new Float32Array(rows.length / length);
    await session.run(
      {
        rows: new Tensor("float32", rows, [products.length, length]),
        vector: new Tensor("float32", vector, [length, 1]),
      },
      { products: new Tensor("float32", products, [products.length, 1]) },
    );
    return products;
  };
}

const PRODUCT = encodeModel({
  irVersion: 8,
  opset: 15,
  name: "product",
  nodes: [
    {
      op: "MatMul",
      name: "products",
      inputs: ["rows", "vector"],
      outputs: ["products"],
      attributes: {},
    },
  ],
  initialisers: [],
  inputs: [
    { name: "rows", type: ELEMENT.float32, dims: ["count", "length"] },
    { name: "vector", type: ELEMENT.float32, dims: ["length", 1] },
  ],
  outputs: [{ name: "products", type: ELEMENT.float32, dims: ["count", 1] }],
});
