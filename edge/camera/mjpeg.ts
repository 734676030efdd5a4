/*
 * Splits a byte stream into JPEGs by walking their structure (ITU-T T.81, annex B):
 *
 *     FF D8                                  SOI
 *     FF xx  length(2, big-endian) …         segments; APPn may hold a whole thumbnail JPEG
 *     FF DA  length(2) …                     SOS, then entropy-coded data in which
 *       FF 00 is a stuffed FF, FF D0…D7 are restarts, FF FF is fill;
 *       any other FF xx ends the scan: a further segment, or
 *     FF D9                                  EOI
 *
 * Some cameras leave EOI out: then the next SOI ends a scan, and the frame gets the EOI it lacks. In
 * a stream that has them, such a frame was torn, as is one with a marker that cannot follow: it is
 * counted and thrown away, and the splitter goes on at the next SOI.
 */
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const FIRST_SEGMENT = 0xc0;
const END = Buffer.from([0xff, EOI]);

/** A 4096 × 2160 JPEG at best quality; anything larger is not a frame. */
export const FRAME_BYTES_MAX = 8 * 1024 * 1024;

export interface Mjpeg {
  /** Takes the next bytes and gives the frames they complete. */
  push(chunk: Buffer): Buffer[];
  /** Frames thrown away because they were torn or too large. */
  readonly damaged: number;
}

type State = "search" | "marker" | "segment" | "scan";

export function createMjpegSplitter(limitBytes = FRAME_BYTES_MAX): Mjpeg {
  let pending: Buffer = Buffer.alloc(0);
  let state: State = "search";
  /** How far `pending` has been walked; it begins with SOI unless the state is "search". */
  let at = 0;
  let damaged = 0;
  /** Whether a frame of this stream has had its end mark. */
  let marked = false;
  /** Whether a scan of this frame has been walked to its end. */
  let scanned = false;

  const take = (frames: Buffer[], frame: Buffer, end: number): void => {
    frames.push(frame);
    pending = pending.subarray(end);
    state = "search";
    at = 0;
  };
  const restart = (from: number): void => {
    damaged++;
    pending = pending.subarray(from);
    state = "search";
    at = 0;
  };
  /** One step; false when more bytes are needed. */
  const step = (frames: Buffer[]): boolean => {
    if (state === "search") {
      const start = indexOfMarker(pending, SOI);
      pending = pending.subarray(start === -1 ? Math.max(0, pending.length - 1) : start);
      if (start === -1) return false;
      state = "marker";
      at = 2;
      scanned = false;
      return true;
    }
    if (state === "segment") {
      if (pending.length < at + 4) return false;
      const length = pending.readUInt16BE(at + 2);
      const isScan = pending[at + 1] === SOS;
      if (length < 2) restart(2);
      else if (pending.length < at + 2 + length) return false;
      else {
        at += 2 + length;
        state = isScan ? "scan" : "marker";
      }
      return true;
    }
    if (state === "scan") {
      const next = endOfScan(pending, at);
      at = Math.max(at, next === -1 ? pending.length - 1 : next);
      if (next === -1) return false;
      state = "marker";
      scanned = true;
      return true;
    }
    if (pending.length < at + 2) return false;
    const marker = pending[at] === 0xff ? (pending[at + 1] ?? 0) : 0;
    if (marker === 0xff) at++;
    else if (marker === EOI) {
      marked = true;
      take(frames, Buffer.from(pending.subarray(0, at + 2)), at + 2);
    } else if (marker === SOI && scanned && !marked) {
      take(frames, Buffer.concat([pending.subarray(0, at), END]), at);
    } else if (marker < FIRST_SEGMENT || (marker >= 0xd0 && marker <= SOI)) {
      // What follows a torn frame may be the next one's SOI: go on from there.
      restart(marker === SOI ? at : 2);
    } else state = "segment";
    return true;
  };

  return {
    get damaged() {
      return damaged;
    },
    push(chunk) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const frames: Buffer[] = [];
      while (step(frames));
      if (pending.length > limitBytes) restart(2);
      return frames;
    },
  };
}

/** Where FF `marker` begins, or -1. */
function indexOfMarker(bytes: Buffer, marker: number): number {
  for (let i = bytes.indexOf(0xff); i !== -1; i = bytes.indexOf(0xff, i + 1)) {
    if (bytes[i + 1] === marker) return i;
  }
  return -1;
}

/** Where the marker after entropy-coded data begins, or -1 when it has not come yet. */
function endOfScan(bytes: Buffer, from: number): number {
  for (let i = bytes.indexOf(0xff, from); i !== -1; i = bytes.indexOf(0xff, i + 1)) {
    const next = bytes[i + 1];
    if (next === undefined) return -1;
    const inside = next === 0x00 || next === 0xff || (next >= 0xd0 && next <= 0xd7);
    if (!inside) return i;
  }
  return -1;
}
