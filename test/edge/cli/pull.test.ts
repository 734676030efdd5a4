import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { readManifest } from "../../../edge/vision/manifest.ts";
import { porchlight, userEnvironment } from "../../support/cli.ts";
import { type Answer, serveFiles, withRanges } from "../../support/file-server.ts";
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

pull.run();
