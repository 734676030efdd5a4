import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { appliedOf } from "../../../edge/config/options.ts";
import { CONFIG_VERSION, deviceConfigSchema } from "../../../edge/config/schema.ts";
import { json, porchlight } from "../../support/cli.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const configuring = suite("the configuration of a device, by commands");
const folder = tempFolder("config");
configuring.after(() => folder.remove());

const OLD = "# my door\nbuffer:\n  wearMiBPerDay: 100 # an old card\n";

function written(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

configuring("that has a key of an earlier version is in force, and says so", async () => {
  const file = written("old.yaml", OLD);
  const ran = await porchlight(["config", "check", "--config", file, "--json"]);
  assert.is(ran.code, 0, ran.err);
  assert.is(json<Record<string, number>>(ran)["buffer.writtenMiBPerDay"], 100);
  assert.match(ran.err, "buffer.wearMiBPerDay → buffer.writtenMiBPerDay");
  assert.match(ran.err, "porchlight config migrate");
  assert.is(readFileSync(file, "utf8"), OLD, "looking changes nothing");
  const variable = { PORCHLIGHT_BUFFER_WEAR_MI_BPER_DAY: "7" };
  const named = await porchlight(["config", "check", "--config", file, "--json"], variable);
  assert.is(json<Record<string, number>>(named)["buffer.writtenMiBPerDay"], 7);
});

configuring("is rewritten once, with its comments and its mode, and kept as it was", async () => {
  const file = written("rewritten.yaml", OLD);
  chmodSync(file, 0o640);
  const migrate = ["config", "migrate", "--config", file, "--json"];
  const first = await porchlight(migrate);
  assert.is(first.code, 0, first.err);
  assert.match(readFileSync(file, "utf8"), /# my door\n[\s\S]*writtenMiBPerDay: 100 # an old card/);
  assert.match(readFileSync(file, "utf8"), `version: ${CONFIG_VERSION}`);
  const backup = `${file}.before-${CONFIG_VERSION}`;
  assert.is(readFileSync(backup, "utf8"), OLD);
  for (const path of [file, backup]) assert.is(statSync(path).mode & 0o777, 0o640);
  const before = readFileSync(file, "utf8");
  assert.equal(json(await porchlight(migrate)), { file, changed: false });
  assert.is(readFileSync(file, "utf8"), before);
});

configuring("with a mistake, or of a newer program, is not touched", async () => {
  for (const text of [`${OLD}camrea: {}\n`, `version: ${CONFIG_VERSION + 1}\n`, "a: [\n"]) {
    const file = written("wrong.yaml", text);
    const ran = await porchlight(["config", "migrate", "--config", file]);
    assert.is(ran.code, 78, ran.err);
    assert.is(readFileSync(file, "utf8"), text);
    assert.not(existsSync(`${file}.before-${CONFIG_VERSION}`));
  }
  const gone = await porchlight(["config", "migrate", "--config", join(folder.path, "gone")]);
  assert.is(gone.code, 78);
});

configuring("that init writes is of the newest version", async () => {
  const file = join(folder.path, "made.yaml");
  const data = join(folder.path, "made");
  assert.is((await porchlight(["init", "--config", file, "--data", data])).code, 0);
  assert.match(readFileSync(file, "utf8"), `version: ${CONFIG_VERSION}`);
});

configuring("that cannot be read or cannot be one is refused with what is wrong", async () => {
  mkdirSync(join(folder.path, "folder"));
  const text = "camera: {kind: ffmpeg}\n";
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
  const swapped = Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, "utf16le").swap16()]);
  for (const [content, words] of [
    [null, /it is a folder/],
    [utf16, /UTF-16.*\n.*save it as UTF-8/],
    [swapped, /UTF-16/],
    [Buffer.from("name: caf\xe9\n", "latin1"), /no text in UTF-8/],
    [Buffer.from([0, 1, 2, 3]), /no text in UTF-8/],
    ["data: /a\n---\ndata: /b\n", /line 2: a second document begins here/],
    ["just words\n", /expected settings, one "key: value" a line: the string "just words"/],
    ["- a\n- b\n", /a list/],
    ["7\n", /the number 7/],
    [
      "camera: {kind: usb}\n",
      /line 1: camera.kind: expected one of files, libcamera, gstreamer, ffmpeg, socket/,
    ],
    [
      "camera:\n  kind: ffmpeg\n  sensor: 1\n",
      /line 3: camera.sensor is not a setting of this kind\n/,
    ],
    ["camera:\n  kind: ffmpeg\n  rotationDegree: 90\n", /line 3: .*did you mean rotationDegrees\?/],
    ["camera:\n  kind: ffmpeg\n  rotationDegrees: 45\n", /line 3: .*expected 0, 90, 180 or 270/],
    ["camera:\n  kind: files\n  paths: [~/clips]\n", /line 3: .*write the whole path/],
    [
      'button:\n  device: /dev/input/event0\n  name: "\\ud800"\n',
      /line 3: button.name ends in half a character/,
    ],
  ] as const) {
    const file = content === null ? join(folder.path, "folder") : join(folder.path, "wrong.yaml");
    if (content !== null) writeFileSync(file, content);
    const ran = await porchlight(["config", "check", "--config", file]);
    assert.is(ran.code, 78, ran.err);
    assert.match(ran.err, words, ran.err);
    assert.not.match(ran.err, /^ {4}at /m);
  }
});

configuring("with a relative data folder means the same store from everywhere", async () => {
  const file = written("here.yaml", "data: ./store\n");
  const ran = await porchlight(["config", "check", "--config", file, "--json"]);
  assert.is(json<Record<string, string>>(ran)["data"], join(folder.path, "store"));
  const made = join(folder.path, "made", "porchlight.yaml");
  assert.is(
    (await porchlight(["init", "--config", made, "--data", join(folder.path, "d")])).code,
    0,
  );
  assert.match(readFileSync(made, "utf8"), `data: "${join(folder.path, "d")}"`);
});

configuring("is recorded without the paths that an owner has chosen", () => {
  const paths = ["/home/ada/Ana_Palacio/", "clips"];
  const config = deviceConfigSchema.parse({ data: "/home/ada", camera: { kind: "files", paths } });
  const { settings, sha256 } = appliedOf(config);
  assert.not.match(JSON.stringify(settings), /ada|Palacio|clips/);
  assert.is(settings["camera.paths.0"], "(path)");
  const other = deviceConfigSchema.parse({
    data: "/home/ada",
    camera: { kind: "files", paths: ["x"] },
  });
  assert.not.equal(appliedOf(other).sha256, sha256);
  const usb = deviceConfigSchema.parse({ camera: { kind: "ffmpeg" } });
  assert.is(appliedOf(usb).settings["camera.device"], "/dev/video0");
});
const THRESHOLDS: readonly (readonly [string, RegExp])[] = [
  ["match: 0.46", /recognition\.match: 0\.46 belongs to a model pack: write \{NAME: 0\.46\}/],
  ["margin: 0.05", /recognition\.margin: 0\.05 belongs to a model pack/],
  [
    "match: {opencv: 0.46}",
    /recognition\.match is not applied: it is of opencv, .* in use is default/,
  ],
  ["margin: {opencv: 0.01}", /recognition\.margin is not applied: it is of opencv/],
  ["match: {default: 0.46}", /recognition\.match\.default: 0\.46 is not applied: below 0\.908/],
  ["match: {default: 0}", /recognition\.match\.default: 0 is not applied/],
  ["match: {default: 2}", /recognition\.match\.default: /],
];

configuring(
  "with a threshold that is not of the pack in use, or lets everybody in, is wrong",
  async () => {
    for (const [setting, words] of THRESHOLDS) {
      const file = written("thresholds.yaml", `recognition: {${setting}}\n`);
      const ran = await porchlight(["config", "check", "--config", file]);
      assert.is(ran.code, 78, setting);
      assert.match(ran.err, words);
    }
    const file = written(
      "thresholds.yaml",
      "recognition: {match: {default: 0.95, opencv: 0.46}}\n",
    );
    const ran = await porchlight(["config", "check", "--config", file]);
    assert.is(ran.code, 0, ran.err);
    const bare = { PORCHLIGHT_RECOGNITION_MATCH: "0.46" };
    assert.is((await porchlight(["config", "check", "--config", file], bare)).code, 78);
    const bound = { PORCHLIGHT_RECOGNITION_MATCH: "{default: 0.94}" };
    assert.is((await porchlight(["config", "check", "--config", file], bound)).code, 0);
  },
);

configuring(
  "with a stall timeout that a slow camera cannot keep is wrong; the default can",
  async () => {
    const slow = "kind: ffmpeg, framesPerSecond: 0.1";
    const check = async (camera: string) => {
      const file = written("slow.yaml", `camera: {${camera}}\n`);
      return await porchlight(["config", "check", "--config", file, "--json"]);
    };
    const short = await check(`${slow}, stallMs: 12000`);
    assert.is(short.code, 78);
    assert.match(short.err, /camera\.stallMs: 12000 is shorter than 2 frames .* set 20000 or more/);
    assert.is((await check(`${slow}, stallMs: 20000`)).code, 0);
    const raised = await check(slow);
    assert.is(raised.code, 0, raised.err);
    assert.is(json<Record<string, number>>(raised)["camera.stallMs"], 30_000);
  },
);

configuring.run();
