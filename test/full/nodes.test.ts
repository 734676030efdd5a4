import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { FULL_BUILD_REMEDY, NODES, SAME_LINE_NODE } from "../support/built.ts";
import { userEnvironment } from "../support/cli.ts";
import { needs } from "../support/needs.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const nodes = suite("the system's Node.js, for whoever insists on it");
/** What stands on native modules, on the file system, on streams and on a database. */
const SHORT = [
  "test/shared/log",
  "test/edge/sqlite",
  "test/edge/recognition",
  "test/edge/log",
  "test/edge/vision/pack.test",
  "test/cloud-sync/log/append",
];
const OLDEST = 22;

for (const { version, program } of [...NODES, SAME_LINE_NODE]) {
  const works = Number(version.split(".")[0]) >= OLDEST;
  if (!needs(existsSync(program), `Node.js ${version}`, FULL_BUILD_REMEDY)) continue;
  const run = (file: string, ...args: string[]): SpawnSyncReturns<string> => {
    const path = `${dirname(program)}:${process.env["PATH"]}`;
    const env = userEnvironment({ PORCHLIGHT_NODE: "system", PATH: path });
    return spawnSync(join("bin", file), args, { encoding: "utf8", env, maxBuffer: 2 ** 26 });
  };

  if (works) {
    nodes(`${version} runs the demo`, () => {
      const folder = tempFolder("nodes");
      const said = JSON.parse(run("porchlight", "--version", "--json").stdout);
      assert.is(said.node, version);
      const { status, stdout, stderr } = run(
        "porchlight",
        "demo",
        "--data",
        join(folder.path, "x"),
      );
      assert.is(status, 0, `${stdout}${stderr}`);
      assert.match(stdout, /(\d+) of \1 visits right/);
      folder.remove();
    });

    nodes(`${version} passes a short suite`, () => {
      const { status, stdout, stderr } = run("node", "scripts/test.ts", ...SHORT);
      assert.is(status, 0, `${stdout}${stderr}`);
      assert.match(stdout, /^[1-9]\d* passed, 0 failed$/m);
      process.stdout.write(`Node.js ${version}: ${stdout.trimEnd().split("\n").at(-1)}\n`);
    });
  } else {
    nodes(`${version} is refused, in one line`, () => {
      const { status, stderr } = run("porchlight", "--version");
      assert.is(status, 78);
      assert.match(stderr, `${OLDEST} is the oldest that works`);
    });
  }
}

nodes.run();
