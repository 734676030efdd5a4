import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import * as assert from "uvu/assert";
import { cameraConfigSchema } from "../../../edge/camera/config.ts";
import { filesOf } from "../../../edge/camera/files.ts";
import { openCamera } from "../../../edge/camera/open-camera.ts";
import { cameraParts, isJpeg, take } from "../../support/camera.ts";
import { needsProgram } from "../../support/needs.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const files = suite<{ folder: ReturnType<typeof tempFolder> }>("replay of files");

files.before.each((context) => {
  context.folder = tempFolder("files");
  for (const name of ["2.jpg", "10.jpg", "1.png", "notes.txt"]) {
    writeFileSync(join(context.folder.path, name), name);
  }
});
files.after.each(({ folder }) => folder.remove());

function replay(paths: string[], more: object = {}) {
  return cameraConfigSchema.parse({ kind: "files", paths, framesPerSecond: 200, ...more });
}

files(
  "a folder is replayed in the order a person would count, and only its pictures",
  async ({ folder }) => {
    const config = replay([folder.path], { everyFrame: true });
    const frames = await take(openCamera(config, cameraParts()), 10);
    assert.equal(
      frames.map(({ source }) => basename(source)),
      ["1.png", "2.jpg", "10.jpg"],
    );
    assert.equal(
      frames.map(({ index }) => index),
      [0, 1, 2],
    );
  },
);

files("globs, names and folders mix", ({ folder }) => {
  mkdirSync(join(folder.path, "more"));
  writeFileSync(join(folder.path, "more", "3.jpg"), "");
  const found = filesOf([join(folder.path, "*.jpg"), join(folder.path, "more")]);
  assert.equal(
    found.map((path) => basename(path)),
    ["2.jpg", "10.jpg", "3.jpg"],
  );
});

files("nothing to replay is an error that says what to set", async ({ folder }) => {
  const error = await rejects(() => filesOf([join(folder.path, "none*")]), "camera.files");
  assert.match(error.hint ?? "", /camera\.paths/);
});

files("replay loops when it should, and every frame comes when it should", async ({ folder }) => {
  const config = replay([folder.path], { everyFrame: true, loop: true });
  const camera = openCamera(config, cameraParts());
  const seen: string[] = [];
  for await (const { source } of camera) {
    seen.push(basename(source));
    await new Promise((done) => setTimeout(done, 20));
    if (seen.length === 7) break;
  }
  assert.equal(seen, ["1.png", "2.jpg", "10.jpg", "1.png", "2.jpg", "10.jpg", "1.png"]);
  assert.is(camera.stats.dropped, 0);
});

files("a live replay drops what a slow reader has no time for", async ({ folder }) => {
  const camera = openCamera(replay([folder.path], { loop: true }), cameraParts());
  let frames = 0;
  for await (const _ of camera) {
    await new Promise((done) => setTimeout(done, 60));
    if (++frames === 5) break;
  }
  assert.ok(camera.stats.dropped >= 10, `dropped ${camera.stats.dropped}`);
});

files("the rate is kept", async ({ folder }) => {
  const config = replay([folder.path], { everyFrame: true, loop: true, framesPerSecond: 20 });
  const frames = await take(openCamera(config, cameraParts()), 9);
  const first = frames[0]?.monotonicMs ?? 0;
  const lastMs = (frames.at(-1)?.monotonicMs ?? 0) - first;
  // Never faster than asked; how much slower depends on the machine.
  assert.ok(lastMs >= 8 * 50 - 20, `8 steps took ${lastMs} ms`);
});

files("what is no file, or links to none, is passed over in a folder", async ({ folder }) => {
  mkdirSync(join(folder.path, "0.jpg"));
  symlinkSync(join(folder.path, "gone"), join(folder.path, "3.jpg"));
  const found = filesOf([folder.path]).map((path) => basename(path));
  assert.equal(found, ["1.png", "2.jpg", "10.jpg"]);
  assert.equal(
    filesOf([join(folder.path, "*.jpg")]).map((path) => basename(path)),
    ["2.jpg", "10.jpg"],
  );
});

files(
  "a file that goes while it is replayed is told, and the others are shown",
  async ({ folder }) => {
    const paths = [
      join(folder.path, "1.png"),
      join(folder.path, "0.jpg"),
      join(folder.path, "2.jpg"),
    ];
    mkdirSync(join(folder.path, "0.jpg"));
    writeFileSync(join(folder.path, "0.jpg", "1.jpg"), "");
    const parts = cameraParts();
    const camera = openCamera(replay(paths, { everyFrame: true }), parts);
    const reading = camera[Symbol.asyncIterator]();
    const first = (await reading.next()).value;
    rmSync(join(folder.path, "0.jpg"), { recursive: true });
    const second = (await reading.next()).value;
    assert.equal(
      [first?.source, second?.source].map((path) => basename(path ?? "")),
      ["1.png", "2.jpg"],
    );
    assert.is(camera.stats.damaged, 1);
    assert.ok(parts.lines.some((line) => line.includes("file skipped")));
    await reading.return?.(undefined);
  },
);

if (needsProgram("ffmpeg", "ffmpeg")) {
  files(
    "a damaged video ends no replay, and a colon in its name opens no protocol",
    async ({ folder }) => {
      const clip = (name: string): string => join(folder.path, name);
      const source = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=10", "-t", "0.5"];
      const made = spawnSync("ffmpeg", [
        "-loglevel",
        "error",
        ...source,
        "-c:v",
        "mpeg4",
        clip("3.mp4"),
      ]);
      assert.is(made.status, 0, String(made.stderr));
      copyFileSync(clip("3.mp4"), clip("10:15:00.mp4"));
      writeFileSync(clip("5.mp4"), readFileSync(clip("3.mp4")).subarray(0, 200));
      const parts = cameraParts();
      const here = process.cwd();
      process.chdir(folder.path);
      try {
        const config = replay(["3.mp4", "5.mp4", "10:15:00.mp4"], {
          framesPerSecond: 20,
          everyFrame: true,
        });
        const frames = await take(openCamera(config, parts), 100);
        assert.equal([...new Set(frames.map((frame) => frame.source))], ["3.mp4", "10:15:00.mp4"]);
      } finally {
        process.chdir(here);
      }
      assert.not.match(parts.lines.join(""), /installed/);
    },
  );

  files("a video gives its frames", async ({ folder }) => {
    const video = join(folder.path, "clip.mp4");
    const source = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=10", "-t", "1"];
    const made = spawnSync("ffmpeg", ["-loglevel", "error", ...source, "-c:v", "mpeg4", video]);
    assert.is(made.status, 0, String(made.stderr));
    const config = replay([video], { everyFrame: true, framesPerSecond: 10 });
    const frames = await take(openCamera(config, cameraParts()), 100);
    assert.is(frames.length, 10);
    assert.ok(frames.every(({ image }) => isJpeg(image)));
  });

  files("a video that cannot be read is a clear error", async ({ folder }) => {
    const video = join(folder.path, "broken.mp4");
    writeFileSync(video, "not a video");
    const camera = openCamera(replay([video], { everyFrame: true }), cameraParts());
    await rejects(() => take(camera, 1), "camera.program");
  });
}

files.run();
