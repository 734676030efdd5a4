import { ELEMENT, floatTensor, type Model, numbersOf } from "../onnx/model.ts";

/**
 * The square root of the least normal float32 (2^-126): what two smaller numbers make when they are
 * multiplied is denormal, and so is a number below 2^-126 by itself. A processor takes a hundred
 * cycles for a denormal where it takes one for another; nothing in a net with values near 1 can
 * tell such a weight from zero.
 */
const NEGLIGIBLE = 2 ** -63;

/** Weights that are denormal, or whose products are, become zero. Returns how many. */
export function zeroDenormals(model: Model): number {
  let zeroed = 0;
  model.initialisers = model.initialisers.map((tensor) => {
    if (tensor.type !== ELEMENT.float32) return tensor;
    const before = zeroed;
    const values = numbersOf(tensor).map((value) => {
      if (value === 0 || Math.abs(value) >= NEGLIGIBLE) return value;
      zeroed++;
      return 0;
    });
    return zeroed === before ? tensor : floatTensor(tensor.name, tensor.dims, values);
  });
  return zeroed;
}
