import { invariant } from "../../../shared/core/errors.ts";
import { floatTensor, type Model, type Node, numbersOf, type Tensor } from "../onnx/model.ts";

/** The constants of a net by name, each turned into numbers once. */
export class Constants {
  readonly #model: Model;
  readonly #tensors: Map<string, Tensor>;
  readonly #numbers = new Map<string, Float64Array>();

  constructor(model: Model) {
    this.#model = model;
    this.#tensors = new Map(model.initialisers.map((tensor) => [tensor.name, tensor]));
  }

  has(name: string | undefined): boolean {
    return name !== undefined && this.#tensors.has(name);
  }

  /** The constant that a node reads at this input. */
  of(node: Node, input: number): Tensor {
    const tensor = this.#tensors.get(node.inputs[input] ?? "");
    invariant(tensor, `input ${input} of ${node.name} is a constant`);
    return tensor;
  }

  numbers(node: Node, input: number): Float64Array {
    const tensor = this.of(node, input);
    const known = this.#numbers.get(tensor.name);
    if (known) return known;
    const numbers = numbersOf(tensor);
    this.#numbers.set(tensor.name, numbers);
    return numbers;
  }

  /** Gives a constant another shape and other values, in the model as well. */
  replace(name: string, dims: readonly number[], values: ArrayLike<number>): void {
    const tensor = floatTensor(name, dims, values);
    const index = this.#model.initialisers.findIndex((each) => each.name === name);
    if (index < 0) this.#model.initialisers.push(tensor);
    else this.#model.initialisers[index] = tensor;
    this.#tensors.set(name, tensor);
    this.#numbers.delete(name);
  }
}
