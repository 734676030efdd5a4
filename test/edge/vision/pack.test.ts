import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { verifyPack } from "../../../edge/vision/packs/models.ts";
import { openVision } from "../../../edge/vision/vision.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { json, porchlight } from "../../support/cli.ts";
import { DEFAULT_PACK } from "../../support/people.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const pack = suite("a model pack that is not as it should be");
const models = tempFolder("packs");
const environment = { PORCHLIGHT_MODELS_DIRECTORY: models.path };
const at = (...path: string[]): string => join(models.path, ...path);

/** A copy of the default pack under this name; `change` spoils it. */
function copy(name: string, change: (folder: string) => void = () => undefined): string {
  rmSync(at(name), { recursive: true, force: true });
  cpSync(DEFAULT_PACK, at(name), { recursive: true, dereference: true });
  change(at(name));
  return name;
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

const open = (name: string) =>
  openVision({ packFolder: at(name), threads: 1, logger: silentLogger });

pack.after(() => models.remove());

pack("with one bit changed is refused, and the way to mend it is named", async () => {
  const name = copy("default", (folder) => {
    const net = readFileSync(join(folder, "dlib-resnet.onnx"));
    const middle = net.length >> 1;
    net[middle] = (net[middle] ?? 0) ^ 1;
    writeFileSync(join(folder, "dlib-resnet.onnx"), net);
  });
  const error = await rejects(() => open(name), "model.file.changed");
  assert.is(error.hint, "run: porchlight models build default");
  for (const verb of ["verify", "use"]) {
    const ran = await porchlight(["models", verb, name], environment);
    assert.is(ran.code, 1);
    assert.match(
      ran.err,
      /dlib-resnet\.onnx is not the file the pack pins\n.*models build default/,
    );
  }
});

pack("without one of its files is refused", async () => {
  copy("default", (folder) => rmSync(join(folder, "landmarks-68.onnx")));
  await rejects(() => open("default"), "model.file.missing");
  const ran = await porchlight(["models", "verify"], environment);
  assert.is(ran.code, 1);
  assert.match(ran.err, /landmarks-68\.onnx is missing/);
});

pack("is whole again after models build", async () => {
  copy("default", (folder) => rmSync(join(folder, "landmarks-68.onnx")));
  const built = await porchlight(["models", "build", "--json"], environment);
  assert.is(built.code, 0, built.err);
  assert.is(json<{ id: string }>(built).id, "default@1.0.0");
  const ran = await porchlight(["models", "verify"], environment);
  assert.is(ran.code, 0, ran.err);
  assert.match(ran.out, /is whole and runs on cpu/);
});

pack("that computes something else than its golden vector is refused", async () => {
  const other = Buffer.alloc(128 * 4);
  other.writeFloatLE(1, 0);
  copy("default", (folder) =>
    edit(join(folder, "pack.json"), (text) =>
      text.replace(/"embedding": "[^"]+"/, `"embedding": "${other.toString("base64")}"`),
    ),
  );
  const error = await rejects(() => open("default"), "model.golden.mismatch");
  assert.match(error.message, /cosine -?0\.\d{4}, at least 0\.999 wanted/);
  const ran = await porchlight(["models", "verify"], environment);
  assert.is(ran.code, 1);
  assert.match(ran.err, /npm ci/);
});

pack("whose pack.json or local.json says nonsense is refused, with the place", async () => {
  for (const [file, change, words] of [
    ["pack.json", () => "{", /pack\.json is not JSON\n.*models build default/],
    ["pack.json", (text: string) => text.replace('"iouMax"', '"iuoMax"'), /iouMax/],
    ["pack.json", (text: string) => text.replace(/"file": "tiny/, '"file": "../tiny'), /file/],
    ["local.json", () => '{"match": 2}', /local\.json .*match.*\n.*rm .*local\.json/],
  ] as const) {
    copy("default", (folder) => {
      if (file === "local.json") writeFileSync(join(folder, file), change());
      else edit(join(folder, file), change);
    });
    await rejects(() => open("default"), "model.pack.broken");
    const ran = await porchlight(["models", "verify"], environment);
    assert.is(ran.code, 1);
    assert.match(ran.err, words);
  }
});

pack("with thresholds of the owner's uses those", async () => {
  const local = { match: 0.95, margin: 0.02, far: 0.001, gallerySize: 4, calibratedAtMs: 1 };
  copy("own", (folder) => writeFileSync(join(folder, "local.json"), JSON.stringify(local)));
  const { thresholds } = await verifyPack(models.path, "own");
  assert.equal([thresholds.match, thresholds.margin, thresholds.calibrated], [0.95, 0.02, true]);
});

pack("that nobody knows exits 2; one that is not here yet says how it is had", async () => {
  copy("default");
  const verbs = [["verify"], ["use"], ["build"], ["pull"], ["reembed"]];
  for (const [verb = ""] of verbs) {
    for (const name of ["no-such", "../default", ".packs"]) {
      const ran = await porchlight(["models", verb, name], environment);
      assert.is(ran.code, 2, `${verb} ${name}: ${ran.err}`);
      assert.match(ran.err, /porchlight models list/);
    }
  }
  const ran = await porchlight(["models", "use", "mobilefacenet"], environment);
  assert.is(ran.code, 1);
  assert.match(ran.err, /run: porchlight models pull mobilefacenet/);
  const built = await porchlight(["models", "build", "opencv"], environment);
  assert.is(built.code, 1);
  assert.match(built.err, /porchlight models pull opencv/);
  const ssd = await porchlight(["models", "verify", "default-ssd"], environment);
  assert.match(ssd.err, /porchlight models build default-ssd/);
});

pack("is listed as not here while it is broken, and a folder of the owner's as here", async () => {
  copy("default", (folder) => writeFileSync(join(folder, "pack.json"), ""));
  copy("by-hand");
  type Listing = { name: string; folder?: string; origin: string };
  const list = json<Listing[]>(await porchlight(["models", "list", "--json"], environment));
  const byName = new Map(list.map((listing) => [listing.name, listing]));
  assert.is(byName.get("default")?.folder, undefined);
  assert.is(byName.get("by-hand")?.folder, at("by-hand"));
  assert.is(byName.get("by-hand")?.origin, "hand");
  assert.is(byName.get("opencv")?.origin, "pull");
  const words = await porchlight(["models", "list"], environment);
  assert.match(words.out, /opencv +1\.1\.0 .* porchlight models pull opencv/);
});

pack.run();
