#!/usr/bin/env node
// Prepares a clone: checks Node, installs the locked dependencies, compiles, builds the default
// model pack. Has no dependencies of its own, and does nothing the second time.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const CACHE = join(ROOT, ".cache");
const NODE_FLOOR = [18, 0];
const SOURCE_ROOMS = ["edge", "cloud-sync", "shared"];
const SOURCE_FILES = ["package.json", "tsconfig.json", "tsconfig.build.json"];
const BINDING = join(ROOT, "node_modules/better-sqlite3/build/Release/better_sqlite3.node");
const TOOLCHAIN = ["g++", "make", "python3"];
const HEARTBEAT_MS = 15_000;

function fail(message, hint) {
  process.stderr.write(`porchlight setup: ${message}\n${hint ? `  ${hint}\n` : ""}`);
  process.exit(1);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [floorMajor, floorMinor] = NODE_FLOOR;
  if (major > floorMajor || (major === floorMajor && minor >= floorMinor)) return;
  fail(
    `Node ${NODE_FLOOR.join(".")} or newer is needed, this is ${process.versions.node}`,
    "install it from your distribution or nodejs.org, then run the same command again",
  );
}

function missingTools() {
  return TOOLCHAIN.filter((tool) => spawnSync(tool, ["--version"], { stdio: "ignore" }).error);
}

/** The SQLite binding is compiled when no prebuilt one can be had: say so before it fails. */
function checkToolchain() {
  if (existsSync(BINDING)) return;
  const missing = missingTools();
  if (missing.length === 0) return;
  process.stdout.write(
    `note: ${missing.join(", ")} not found; needed only if SQLite has to be compiled here:\n` +
      "  sudo apt-get install --yes g++ make python3\n",
  );
}

/** Runs a step quietly, with a sign of life, and shows its output only when it fails. */
function step(label, command, args, env = {}) {
  const started = Date.now();
  process.stdout.write(`${label} … `);
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const beat = setInterval(() => process.stdout.write("… "), HEARTBEAT_MS);
  return new Promise((done) => {
    child.on("error", () => done({ ok: false, output: `${command} could not be started` }));
    child.on("close", (code) => done({ ok: code === 0, output }));
  }).then((result) => {
    clearInterval(beat);
    process.stdout.write(
      `${result.ok ? "done" : "failed"} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`,
    );
    return result;
  });
}

function digest(parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

/** Names, sizes and times of all sources: enough to know whether a build is needed. */
function sourceState() {
  const files = SOURCE_ROOMS.filter((room) => existsSync(join(ROOT, room))).flatMap((room) =>
    readdirSync(join(ROOT, room), { recursive: true }).map((path) => join(room, path)),
  );
  return digest(
    [...SOURCE_FILES, ...files].sort().map((path) => {
      const { mtimeMs, size } = statSync(join(ROOT, path));
      return `${path} ${size} ${mtimeMs}`;
    }),
  );
}

async function unlessDone(name, state, action) {
  const stamp = join(CACHE, `${name}.stamp`);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === state()) return;
  await action();
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(stamp, state());
}

async function install() {
  checkToolchain();
  // Node's own headers, where its package brings them: node-gyp then downloads nothing.
  const prefix = dirname(dirname(process.execPath));
  const env = existsSync(join(prefix, "include/node/node.h")) ? { npm_config_nodedir: prefix } : {};
  const { ok, output } = await step(
    "installing dependencies (compiles SQLite: minutes)",
    "npm",
    ["ci"],
    env,
  );
  if (ok) return;
  process.stderr.write(output);
  const tools = missingTools();
  const hint =
    tools.length > 0 ? "sudo apt-get install --yes g++ make python3" : "see the output above";
  fail("npm ci failed", hint);
}

async function build() {
  const { ok, output } = await step("compiling", "npm", ["run", "--silent", "build"]);
  if (!ok) fail(`the build failed\n${output}`);
}

async function buildModels() {
  const cli = join(ROOT, "dist/edge/cli/porchlight.js");
  const { ok, output } = await step("building the default model pack", process.execPath, [
    cli,
    "models",
    "build",
  ]);
  if (!ok) fail(`the model pack was not built\n${output}`);
}

checkNode();
const lock = () => digest([readFileSync(join(ROOT, "package-lock.json")), process.version]);
await unlessDone(
  "install",
  () => (existsSync(join(ROOT, "node_modules")) ? lock() : "none"),
  install,
);
await unlessDone("build", () => (existsSync(join(ROOT, "dist")) ? sourceState() : "none"), build);
const packState = () =>
  existsSync(join(CACHE, "models/default/pack.json"))
    ? digest([
        readFileSync(join(CACHE, "models/default/pack.json")),
        readFileSync(join(ROOT, "node_modules/@vladmandic/face-api/package.json")),
      ])
    : "none";
await unlessDone("models", packState, buildModels);
