/** Steps through canonical JSON (RFC 8785) byte by byte; whatever is not canonical is a fault. */

/** Why bytes are not what they should be. Never leaves the reader that catches it. */
export class EntryFault extends Error {}

/** Facts nest a handful of levels; docs/log-format.md allows so many. */
const DEPTH_MAX = 64;
/** An integer of so few digits is exact, and written as it stands. */
const EXACT_DIGITS_MAX = 15;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const EQUALS = 0x3d;
const OPEN = { object: 0x7b, array: 0x5b } as const;
const CLOSE = { object: 0x7d, array: 0x5d } as const;
const SPACE = 0x20;
const DELETE = 0x7f;
const LITERALS = ["true", "false", "null"].map((word) => Buffer.from(word));

/** Bytes that may follow a backslash: `"` `\` b f n r t, and u with a control character. */
const SHORT_ESCAPES = new Set(Array.from('"\\bfnrt', (each) => each.charCodeAt(0)));
/** Control characters that have no short escape: `\u` and these. */
const LONG_ESCAPES = new Set(
  Array.from({ length: SPACE }, (_, code) => code)
    .filter((code) => ![8, 9, 10, 12, 13].includes(code))
    .map((code) => `u${code.toString(16).padStart(4, "0")}`),
);
/** 1 for a byte that ends or escapes a string, or may not stand in one. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < SPACE || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);
const NUMERIC = new Set(Array.from("0123456789+-.eE", (each) => each.charCodeAt(0)));
const BASE64 = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9+/]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

export class Scanner {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  done(): boolean {
    return this.#at === this.#end;
  }

  /** The byte that comes next, 0 at the end. */
  next(): number {
    return this.#at < this.#end ? (this.#bytes[this.#at] ?? 0) : 0;
  }

  /** Steps over these bytes if they come next. */
  has(wanted: Buffer): boolean {
    const at = this.#at;
    if (this.#end - at < wanted.length) return false;
    for (let i = 0; i < wanted.length; i++) if (this.#bytes[at + i] !== wanted[i]) return false;
    this.#at = at + wanted.length;
    return true;
  }

  expect(wanted: Buffer, what: string): void {
    if (!this.has(wanted)) throw new EntryFault(`${what} does not stand where it belongs`);
  }

  /** Steps over `separator`, `"name"` and a colon if they come next. */
  hasMember(separator: number, name: string): boolean {
    if (this.next() !== separator) return false;
    return this.has(Buffer.from(`${String.fromCharCode(separator)}"${name}":`));
  }

  /** A whole number that a double holds exactly. */
  integer(what: string): number {
    const start = this.#at;
    this.#number();
    const value =
      this.#at - start <= EXACT_DIGITS_MAX && this.#bytes[start] !== MINUS
        ? this.#digits(start)
        : Number(this.#bytes.toString("latin1", start, this.#at));
    if (!Number.isSafeInteger(value)) throw new EntryFault(`${what} is not a whole number`);
    return value;
  }

  /** The value of the digits from `start` on; NaN if there is anything else. */
  #digits(start: number): number {
    let value = 0;
    for (let at = start; at < this.#at; at++) {
      const digit = (this.#bytes[at] ?? 0) - ZERO;
      value = digit >= 0 && digit <= 9 ? value * 10 + digit : Number.NaN;
    }
    return value;
  }

  /** A string without escapes, of ASCII alone. */
  ascii(what: string): string {
    const start = this.#at + 1;
    if (!this.#string()) throw new EntryFault(`${what} is not plain text`);
    return this.#bytes.toString("latin1", start, this.#at - 1);
  }

  /** Any string. */
  text(): string {
    const start = this.#at;
    const plain = this.#string();
    return plain
      ? this.#bytes.toString("latin1", start + 1, this.#at - 1)
      : this.#decode(start, this.#at);
  }

  /** A string of base64 (RFC 4648, section 4), padded. */
  base64(what: string): void {
    const start = this.#at + 1;
    let at = start;
    while (at < this.#end && BASE64[this.#bytes[at] ?? 0] === 1) at++;
    const digits = at - start;
    while (at < this.#end && this.#bytes[at] === EQUALS) at++;
    const padded = at - start;
    if (padded % 4 !== 0 || padded - digits > 2 || this.#bytes[at] !== QUOTE || at >= this.#end) {
      throw new EntryFault(`${what} is not base64`);
    }
    this.#at = at + 1;
  }

  /** Steps over any value. */
  value(depth = 0): void {
    if (depth > DEPTH_MAX) throw new EntryFault(`it is nested deeper than ${DEPTH_MAX}`);
    const first = this.next();
    if (first === QUOTE) this.#string();
    else if (first === OPEN.object) this.#object(depth);
    else if (first === OPEN.array) this.#array(depth);
    else if (first === MINUS || (first >= ZERO && first <= NINE)) this.#number();
    else if (!LITERALS.some((literal) => this.has(literal))) {
      throw new EntryFault("a value is not JSON, or white space stands before it");
    }
  }

  #object(depth: number): void {
    this.#at++;
    if (this.#closes(CLOSE.object)) return;
    let last: { readonly start: number; readonly end: number; readonly plain: boolean } | null =
      null;
    do {
      const start = this.#at;
      const plain = this.#string();
      const name = { start, end: this.#at, plain };
      if (last !== null && !this.#before(last, name)) {
        throw new EntryFault("members are not sorted, or one stands there twice");
      }
      last = name;
      if (this.next() !== COLON) throw new EntryFault("a member has no value");
      this.#at++;
      this.value(depth + 1);
    } while (this.#continues(CLOSE.object));
  }

  #array(depth: number): void {
    this.#at++;
    if (this.#closes(CLOSE.array)) return;
    do this.value(depth + 1);
    while (this.#continues(CLOSE.array));
  }

  #closes(bracket: number): boolean {
    if (this.next() !== bracket) return false;
    this.#at++;
    return true;
  }

  #continues(bracket: number): boolean {
    if (this.#closes(bracket)) return false;
    if (this.next() !== COMMA) throw new EntryFault("a list or an object does not end");
    this.#at++;
    return true;
  }

  /** Steps over a string; true when it is ASCII without escapes. */
  #string(): boolean {
    if (this.next() !== QUOTE) throw new EntryFault("a string does not begin with a quote");
    const [bytes, end] = [this.#bytes, this.#end];
    let at = this.#at + 1;
    let all = 0;
    let escaped = false;
    for (;;) {
      let byte = 0;
      for (; at < end; at++) {
        byte = bytes[at] ?? 0;
        if (SPECIAL[byte] === 1) break;
        all |= byte;
      }
      if (at >= end || byte < SPACE) throw new EntryFault("a string has no end");
      at++;
      if (byte === QUOTE) break;
      at += this.#escape(at);
      escaped = true;
    }
    this.#at = at;
    return !escaped && all <= DELETE;
  }

  /** How long the escape at `at` is, behind its backslash. */
  #escape(at: number): number {
    if (SHORT_ESCAPES.has(this.#bytes[at] ?? 0)) return 1;
    if (!LONG_ESCAPES.has(this.#bytes.toString("latin1", at, at + 5))) {
      throw new EntryFault("a string has an escape that it does not need");
    }
    return 5;
  }

  /** Steps over a number, which stands as ECMAScript writes it. */
  #number(): void {
    const start = this.#at;
    while (this.#at < this.#end && NUMERIC.has(this.next())) this.#at++;
    if (this.#at - start <= EXACT_DIGITS_MAX && this.#isPlainInteger(start)) return;
    const text = this.#bytes.toString("latin1", start, this.#at);
    if (text === "" || String(Number(text)) !== text) {
      throw new EntryFault("a number is not written as RFC 8785 has it");
    }
  }

  #isPlainInteger(start: number): boolean {
    const first = start + (this.#bytes[start] === MINUS ? 1 : 0);
    if (this.#bytes[first] === ZERO) return first === start && this.#at === start + 1;
    if (first === this.#at) return false;
    for (let at = first; at < this.#at; at++) {
      const byte = this.#bytes[at] ?? 0;
      if (byte < ZERO || byte > NINE) return false;
    }
    return true;
  }

  /** Whether one name stands before another by UTF-16 code units. */
  #before(
    a: { readonly start: number; readonly end: number; readonly plain: boolean },
    b: { readonly start: number; readonly end: number; readonly plain: boolean },
  ): boolean {
    // The order of ASCII bytes is that of UTF-16; beyond it, UTF-8 sorts otherwise.
    if (!a.plain || !b.plain) return this.#decode(a.start, a.end) < this.#decode(b.start, b.end);
    const length = Math.min(a.end - a.start, b.end - b.start) - 1;
    for (let i = 1; i < length; i++) {
      const difference = (this.#bytes[a.start + i] ?? 0) - (this.#bytes[b.start + i] ?? 0);
      if (difference !== 0) return difference < 0;
    }
    return a.end - a.start < b.end - b.start;
  }

  /** The text of a string whose form was checked, quotes included. */
  #decode(start: number, end: number): string {
    const value: unknown = JSON.parse(this.#bytes.toString("utf8", start, end));
    return String(value);
  }
}
