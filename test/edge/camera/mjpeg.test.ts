import * as assert from "uvu/assert";
import { createMjpegSplitter } from "../../../edge/camera/mjpeg.ts";
import { blank, compose, encodeJpeg } from "../../../edge/vision/image.ts";
import { suite } from "../../support/suite.ts";

const mjpeg = suite("mjpeg");
const grey = await encodeJpeg(blank(64, 48, [90, 90, 90]));
const drawing =
  '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><circle cx="30" cy="20" r="15" fill="red"/></svg>';
const busy = await encodeJpeg(
  await compose(blank(64, 48, [9, 120, 40]), [{ content: { svg: drawing }, x: 0, y: 0 }]),
);

/** A JPEG with a whole JPEG inside its APP1 segment, as cameras embed thumbnails. */
function withThumbnail(jpeg: Buffer, thumbnail: Buffer): Buffer {
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(thumbnail.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), head, thumbnail, jpeg.subarray(2)]);
}

mjpeg("frames come out as they went in, however the bytes are cut", () => {
  const stream = Buffer.concat([grey, busy, withThumbnail(busy, grey), grey]);
  for (const size of [1, 2, 3, 7, 100, stream.length]) {
    const splitter = createMjpegSplitter();
    const frames: Buffer[] = [];
    for (let at = 0; at < stream.length; at += size) {
      frames.push(...splitter.push(stream.subarray(at, at + size)));
    }
    assert.is(frames.length, 4, `cut every ${size} bytes`);
    assert.ok(frames[1]?.equals(busy));
    assert.ok(frames[2]?.equals(withThumbnail(busy, grey)));
    assert.is(splitter.damaged, 0);
  }
});

mjpeg("a torn frame is counted and the next one is whole", () => {
  for (const kept of [3, 20, 200, busy.length - 40, busy.length - 1]) {
    const splitter = createMjpegSplitter();
    const frames = splitter.push(Buffer.concat([grey, busy.subarray(0, kept), grey, busy]));
    assert.ok(
      frames.some((frame) => frame.equals(busy)),
      `torn after ${kept} bytes`,
    );
    assert.ok(splitter.damaged >= 1 || frames.length > 2, `torn after ${kept} bytes`);
    assert.ok(frames.length <= 4);
  }
});

mjpeg("frames of a stream without end marks come out whole, with theirs", () => {
  const bare = (jpeg: Buffer): Buffer => jpeg.subarray(0, jpeg.length - 2);
  const boundary = Buffer.from("\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n");
  for (const between of [Buffer.alloc(0), boundary]) {
    const stream = Buffer.concat(
      [grey, busy, withThumbnail(busy, grey), grey, busy].flatMap((jpeg) => [bare(jpeg), between]),
    );
    for (const size of [1, 7, 100, stream.length]) {
      const splitter = createMjpegSplitter();
      const frames: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) {
        frames.push(...splitter.push(stream.subarray(at, at + size)));
      }
      // The last one ends when the next begins.
      assert.is(frames.length, 4, `cut every ${size} bytes`);
      assert.is(splitter.damaged, 0);
      assert.ok(frames[1]?.subarray(0, busy.length - 2).equals(bare(busy)));
      assert.ok(frames.every((frame) => frame.readUInt16BE(frame.length - 2) === 0xffd9));
    }
  }
});

mjpeg("noise between frames is passed over", () => {
  const splitter = createMjpegSplitter();
  const noise = Buffer.from("--boundary\r\nContent-Type: image/jpeg\r\n\r\n");
  const frames = splitter.push(Buffer.concat([noise, grey, noise, busy, noise]));
  assert.is(frames.length, 2);
  assert.is(splitter.damaged, 0);
});

mjpeg("a frame without an end does not fill the memory", () => {
  const splitter = createMjpegSplitter(100_000);
  const scan = Buffer.concat([busy.subarray(0, busy.length - 2)]);
  splitter.push(scan);
  for (let i = 0; i < 50; i++) splitter.push(Buffer.alloc(10_000, 0x11));
  assert.ok(splitter.damaged >= 1);
  assert.is(splitter.push(grey).length, 1);
});

mjpeg("random bytes never throw", () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1e9);
  process.stdout.write(`seed ${seed}\n`);
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  const splitter = createMjpegSplitter(50_000);
  for (let round = 0; round < 300; round++) {
    const mutated = Buffer.from(busy);
    for (let i = 0; i < 5; i++) mutated[(next() * 256 + next()) % mutated.length] = next();
    splitter.push(mutated);
  }
  // A broken segment length can swallow 64 KiB: these small frames are many times that.
  const frames = Array.from({ length: 300 }, () => splitter.push(busy)).flat();
  assert.ok(
    frames.some((frame) => frame.equals(busy)),
    `seed ${seed}`,
  );
});

mjpeg.run();
