import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { cameraConfigSchema } from "../../../edge/camera/config.ts";
import { v4l2Args } from "../../../edge/camera/ffmpeg.ts";
import { createFrozenPicture } from "../../../edge/camera/frozen.ts";
import { jetsonArgs, pipeline } from "../../../edge/camera/gstreamer.ts";
import { openCamera } from "../../../edge/camera/open-camera.ts";
import { processSource, withoutUrls } from "../../../edge/camera/source.ts";
import { streamCamera } from "../../../edge/camera/stream.ts";
import { cameraParts, isJpeg, take, testPicture } from "../../support/camera.ts";
import { needsProgram } from "../../support/needs.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const stream = suite("cameras as processes");
const hasFfmpeg = needsProgram("ffmpeg", "ffmpeg");
const hasGstreamer = needsProgram("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-good");

if (hasFfmpeg) {
  stream("a real MJPEG stream gives whole frames in order", async () => {
    const parts = cameraParts();
    const start = processSource("ffmpeg", testPicture(null));
    const frames = await take(streamCamera({ name: "door", start, stallMs: 5_000 }, parts), 5);
    assert.ok(frames.every(({ image }) => isJpeg(image)));
    assert.equal(
      frames.map(({ source }) => source),
      Array(5).fill("door"),
    );
    const indexes = frames.map(({ index }) => index);
    assert.equal(
      indexes,
      [...indexes].sort((a, b) => a - b),
    );
  });

  stream("a slow reader gets new frames, and the dropped ones are counted", async () => {
    const start = processSource("ffmpeg", testPicture(null));
    const camera = streamCamera({ name: "door", start, stallMs: 5_000 }, cameraParts());
    let last = -1;
    let delivered = 0;
    for await (const { index } of camera) {
      assert.ok(index > last);
      last = index;
      await new Promise((done) => setTimeout(done, 300));
      if (++delivered === 4) break;
    }
    assert.ok(camera.stats.dropped >= 5, `dropped ${camera.stats.dropped}`);
    assert.is(last + 1 <= delivered + camera.stats.dropped + 1, true);
  });

  stream("a process that dies is started again", async () => {
    const parts = cameraParts();
    const start = processSource("ffmpeg", testPicture(0.3));
    const camera = streamCamera({ name: "door", start, stallMs: 5_000 }, parts);
    const frames = await take(camera, 12);
    assert.is(frames.length, 12);
    assert.ok(camera.stats.restarts >= 1);
    assert.ok(parts.lines.some((line) => line.includes("camera lost")));
  });

  stream("a Raspberry Pi camera is read through whichever program is there", async () => {
    const folder = tempFolder("rpicam");
    const program = join(folder.path, "rpicam-vid");
    const words = testPicture(null, "640x480")
      .map((word) => `'${word}'`)
      .join(" ");
    writeFileSync(program, `#!/bin/sh\necho "$@" > ${folder.path}/args\nexec ffmpeg ${words}\n`);
    chmodSync(program, 0o755);
    const config = cameraConfigSchema.parse({ kind: "libcamera", widthPx: 640, heightPx: 480 });
    const camera = openCamera(config, cameraParts(folder.path));
    const frames = await take(camera, 3);
    assert.ok(frames.every(({ image }) => isJpeg(image)));
    const args = readFileSync(join(folder.path, "args"), "utf8");
    assert.match(
      args,
      /--width 640 --height 480 --framerate 10 .*--codec mjpeg --output - --nopreview/,
    );
    folder.remove();
  });
}

if (hasGstreamer) {
  stream("a GStreamer pipeline gives whole frames", async () => {
    const size = { widthPx: 320, heightPx: 240, framesPerSecond: 12.5 };
    const args = pipeline(["videotestsrc", "is-live=true"], "video/x-raw", "jpegenc", size);
    const start = processSource("gst-launch-1.0", args);
    const frames = await take(
      streamCamera({ name: "csi", start, stallMs: 8_000 }, cameraParts()),
      4,
    );
    assert.ok(frames.every(({ image }) => isJpeg(image)));
  });
}

stream("a Jetson's and a USB camera's command lines are what their programs take", () => {
  const jetson = cameraConfigSchema.parse({ kind: "gstreamer", sensor: 1 });
  assert.is(jetson.kind, "gstreamer");
  if (jetson.kind === "gstreamer") {
    assert.is(
      jetsonArgs(jetson).join(" "),
      "--quiet nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12," +
        "width=1280,height=720,framerate=10000/1000 ! nvjpegenc ! fdsink fd=1",
    );
  }
  const usb = cameraConfigSchema.parse({ kind: "ffmpeg", device: "/dev/video2" });
  if (usb.kind === "ffmpeg") {
    assert.match(
      v4l2Args(usb).join(" "),
      /-f v4l2 -input_format mjpeg .*-i \/dev\/video2 .*-c:v copy/,
    );
  }
});

stream("what ends up in a command line cannot be anything else than it should", () => {
  for (const wrong of [
    { kind: "ffmpeg", device: "/dev/video0; reboot" },
    { kind: "ffmpeg", device: "http://camera/stream" },
    { kind: "libcamera", widthPx: "640" },
    { kind: "gstreamer", sensor: 1.5 },
    { kind: "ffmpeg", rotationDegrees: 45 },
    {
      kind: "socket",
      path: "/s",
      masks: [
        [
          [0, 0],
          [1, 1],
        ],
      ],
    },
    {
      kind: "socket",
      path: "/s",
      ignore: [
        [
          [0, 0],
          [1, 0],
          [1, 20],
        ],
      ],
    },
    { kind: "files", paths: ["~/clips"] },
  ]) {
    assert.is(cameraConfigSchema.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});

stream("a process that hangs is ended and started again, and nothing of it stays", async () => {
  const parts = cameraParts();
  const start = processSource("sleep", ["1000"]);
  const camera = streamCamera({ name: "door", start, stallMs: 500 }, parts);
  setTimeout(parts.stop, 2_500);
  for await (const _ of camera) assert.unreachable("a sleeping process gives no frame");
  assert.ok(camera.stats.stalls >= 2, `stalls ${camera.stats.stalls}`);
});

stream("a process that ignores being asked is killed", async () => {
  const parts = cameraParts();
  const start = processSource("sh", ["-c", "trap '' TERM; while :; do sleep 0.1; done"]);
  const camera = streamCamera({ name: "door", start, stallMs: 60_000 }, parts);
  const before = Date.now();
  setTimeout(parts.stop, 300);
  for await (const _ of camera) assert.unreachable();
  assert.ok(Date.now() - before < 3_000);
});

stream("a missing program is said, not thrown", async () => {
  const parts = cameraParts();
  const start = processSource("no-such-program", []);
  setTimeout(parts.stop, 600);
  for await (const _ of streamCamera({ name: "door", start, stallMs: 5_000 }, parts)) {
    assert.unreachable();
  }
  assert.ok(parts.lines.some((line) => line.includes("no-such-program is not installed")));
});

stream("a camera whose frames are all torn says so, and one that says nothing too", async () => {
  for (const [script, words] of [
    [
      "while :; do printf '\\377\\330\\377\\340\\000\\001'; sleep 0.05; done",
      /\d+ torn frames thrown away/,
    ],
    ["while :; do printf 'no picture'; sleep 0.05; done", /\d+ bytes came and no whole JPEG/],
    ["exec sleep 5", /nothing comes from it/],
  ] as const) {
    const parts = cameraParts();
    const camera = streamCamera(
      { name: "door", start: processSource("sh", ["-c", script]), stallMs: 500 },
      parts,
    );
    setTimeout(parts.stop, 700);
    for await (const _ of camera) assert.unreachable();
    assert.match(camera.state?.().reason ?? "", words);
    assert.is(camera.state?.().state, "lost");
  }
});

stream(
  "a picture that is repeated byte for byte is frozen, after a while and never at once",
  () => {
    const frozen = createFrozenPicture();
    const [one, other] = [Buffer.from("one"), Buffer.from("other")];
    const from = (image: Buffer, times: readonly number[]) =>
      times.map((ms) => frozen.repeats(Buffer.from(image), ms));
    assert.equal(from(one, [0, 1_000, 9_000, 9_999]), [false, false, false, false]);
    assert.equal(from(one, [10_000, 60_000]), [true, true]);
    assert.equal(
      from(other, [60_100, 75_000, 90_000, 105_000]),
      [false, false, false, true],
      "at a low rate",
    );
    assert.equal(from(one, [106_000]), [false]);
  },
);

stream("a camera without MJPEG is read as it is, from the second try on", async () => {
  const folder = tempFolder("v4l2");
  const program = join(folder.path, "ffmpeg");
  writeFileSync(
    program,
    `#!/bin/sh
echo "$@" >> ${folder.path}/args
case "$*" in
  *"-input_format mjpeg"*)
    echo "[video4linux2,v4l2 @ 0x55] Cannot find a proper format for codec 'mjpeg' (id 7), pixel format 'none' (id -1)" >&2
    echo "/dev/video0: Invalid argument" >&2
    exit 1 ;;
esac
while :; do cat ${folder.path}/frame.jpg; sleep 0.1; done
`,
  );
  chmodSync(program, 0o755);
  const { blank, encodeJpeg } = await import("../../../edge/vision/image.ts");
  writeFileSync(join(folder.path, "frame.jpg"), await encodeJpeg(blank(32, 32)));
  const path = process.env["PATH"];
  process.env["PATH"] = `${folder.path}:${path}`;
  const parts = cameraParts();
  try {
    await take(openCamera(cameraConfigSchema.parse({ kind: "ffmpeg" }), parts), 1);
  } finally {
    process.env["PATH"] = path;
  }
  const lost = parts.lines.find((line) => line.includes("camera lost")) ?? "";
  assert.match(lost, /Cannot find a proper format.*Invalid argument.*encoded here/);
  const [first, second] = readFileSync(join(folder.path, "args"), "utf8").trim().split("\n");
  assert.match(first ?? "", /-input_format mjpeg .*-c:v copy/);
  assert.match(second ?? "", /^(?!.*-input_format).*-c:v mjpeg/);
  folder.remove();
});

stream("a password in a camera's last words never reaches the log", async () => {
  assert.is(withoutUrls("open rtsp://me:secret@10.0.0.1/a failed"), "open <url> failed");
  const parts = cameraParts();
  const start = processSource("sh", [
    "-c",
    "echo rtsp://me:secret@10.0.0.9/x: refused >&2; exit 1",
  ]);
  setTimeout(parts.stop, 600);
  for await (const _ of streamCamera({ name: "door", start, stallMs: 5_000 }, parts)) {
    assert.unreachable();
  }
  assert.ok(parts.lines.some((line) => line.includes("<url>")));
  assert.not.ok(parts.lines.some((line) => line.includes("secret")));
});

stream("a socket is read, and read again when whoever writes it comes back", async () => {
  const { blank, encodeJpeg } = await import("../../../edge/vision/image.ts");
  const jpeg = await encodeJpeg(blank(32, 32, [1, 2, 3]));
  const folder = tempFolder("socket");
  const path = join(folder.path, "frames");
  const server = createServer((socket) => {
    socket.write(Buffer.concat([jpeg, jpeg.subarray(0, 50)]));
    setTimeout(() => socket.destroy(), 100);
  });
  await new Promise<void>((done) => server.listen(path, done));
  const config = cameraConfigSchema.parse({ kind: "socket", path });
  const camera = openCamera(config, cameraParts());
  const frames = await take(camera, 3);
  assert.is(frames.length, 3);
  assert.ok(camera.stats.restarts >= 2);
  await new Promise((done) => server.close(done));
  folder.remove();
});

stream.run();
