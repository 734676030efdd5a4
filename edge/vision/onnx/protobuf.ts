import { invariant, PorchlightError } from "../../../shared/core/errors.ts";

/**
 * The protocol buffer wire format, as much of it as ONNX files use.
 *
 *   field := key value      key := varint(number << 3 | wire type)
 *   wire type 0 varint | 1 fixed64 | 2 length-delimited | 5 fixed32, all little-endian
 *
 * Source: protobuf.dev/programming-guides/encoding.
 */
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Ten groups of seven bits hold any 64-bit number; a longer varint is not one. */
const VARINT_BYTES_MAX = 10;

export class ProtoWriter {
  readonly #parts: Uint8Array[] = [];

  /** A number in two's complement of 64 bits, so a negative one takes ten bytes. */
  varint(field: number, value: bigint | number): this {
    this.#parts.push(varintBytes(key(field, WIRE.varint)), varintBytes(BigInt(value)));
    return this;
  }

  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    this.#parts.push(varintBytes(key(field, WIRE.fixed32)), bytes);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#parts.push(varintBytes(key(field, WIRE.bytes)), varintBytes(BigInt(value.length)), value);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, "utf8"));
  }

  message(field: number, write: (inner: ProtoWriter) => void): this {
    const inner = new ProtoWriter();
    write(inner);
    return this.bytes(field, inner.finish());
  }

  /** Several varints as one length-delimited field. */
  packed(field: number, values: readonly (bigint | number)[]): this {
    return this.bytes(field, Buffer.concat(values.map((value) => varintBytes(BigInt(value)))));
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** One field of a message; `fixed` holds the raw bytes of a fixed32 or fixed64. */
export type ProtoField =
  | { readonly number: number; readonly kind: "varint"; readonly value: bigint }
  | { readonly number: number; readonly kind: "bytes"; readonly value: Buffer }
  | { readonly number: number; readonly kind: "fixed"; readonly value: Buffer };

/** The fields of a message in file order; length-delimited values are views, not copies. */
export function* readFields(message: Uint8Array): Generator<ProtoField> {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  let offset = 0;
  const varint = (): bigint => {
    const [value, next] = readVarint(bytes, offset);
    offset = next;
    return value;
  };
  const take = (length: number): Buffer => {
    if (offset + length > bytes.length) throw broken("it ends inside a field");
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  while (offset < bytes.length) {
    const fieldKey = varint();
    const number = Number(fieldKey >> 3n);
    const wire = Number(fieldKey & 7n);
    if (wire === WIRE.varint) yield { number, kind: "varint", value: varint() };
    else if (wire === WIRE.bytes) yield { number, kind: "bytes", value: take(Number(varint())) };
    else if (wire === WIRE.fixed32) yield { number, kind: "fixed", value: take(4) };
    else if (wire === WIRE.fixed64) yield { number, kind: "fixed", value: take(8) };
    else throw broken(`wire type ${wire} is not used by ONNX`);
  }
}

/** The varints of a packed field, or of one that was written unpacked. */
export function varintsOf(field: ProtoField): bigint[] {
  if (field.kind === "varint") return [signed(field.value)];
  const values: bigint[] = [];
  let offset = 0;
  while (offset < field.value.length) {
    const [value, next] = readVarint(field.value, offset);
    values.push(signed(value));
    offset = next;
  }
  return values;
}

/** int32 and int64 fields carry two's complement in an unsigned varint. */
export function signed(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

function key(field: number, wire: number): bigint {
  invariant(Number.isInteger(field) && field > 0, "protobuf fields are numbered from 1");
  return BigInt((field << 3) | wire);
}

function varintBytes(value: bigint): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Uint8Array.from(out);
}

function readVarint(bytes: Buffer, start: number): [value: bigint, next: number] {
  let value = 0n;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) throw broken("it ends inside a number");
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return [value, start + i + 1];
  }
  throw broken("a number is longer than 64 bits");
}

function broken(reason: string): PorchlightError {
  return new PorchlightError("model.file.broken", `this is not an ONNX file: ${reason}`, {
    hint: "run: porchlight models verify",
  });
}
