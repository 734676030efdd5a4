// Prepares a clone: installs the locked dependencies, Porchlight's own Node.js among them, compiles,
// builds the default model pack. Has no dependencies, runs on Node.js 18, does nothing twice.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const CACHE = join(ROOT, ".cache");
/** Everything after the installation runs on it. */
const OWN_NODE = join(ROOT, "bin/node");
const SOURCE_ROOMS = ["edge", "cloud-sync", "shared"];
const SOURCE_FILES = ["package.json", "tsconfig.json", "tsconfig.build.json"];
const HEARTBEAT_MS = 5_000;

function fail(message, hint) {
  process.stderr.write(`porchlight setup: ${message}\n${hint ? `  ${hint}\n` : ""}`);
  process.exit(1);
}

/** Runs a step quietly, with a sign of life, and shows its output only when it fails. */
async function step(label, command, args, more = {}) {
  const started = Date.now();
  process.stdout.write(`${label} … `);
  const env = { ...process.env, ...more };
  const child = spawn(command, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const beat = setInterval(() => process.stdout.write("… "), HEARTBEAT_MS);
  const failure = await new Promise((done) => {
    child.on("error", (error) => done(`${command} could not be started: ${error.message}`));
    child.on("close", (code) => done(code === 0 ? null : output));
  });
  clearInterval(beat);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${failure === null ? "done" : "failed"} (${seconds} s)\n`);
  return failure;
}

function digest(parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/** Names, sizes and times of all sources: enough to know whether a build is needed. */
function sourceState() {
  if (!existsSync(join(ROOT, "dist"))) return "none";
  const rooms = SOURCE_ROOMS.filter((room) => existsSync(join(ROOT, room)));
  return digest(
    [...SOURCE_FILES, ...rooms.flatMap(filesBelow)].sort().map((path) => {
      const { mtimeMs, size } = statSync(join(ROOT, path));
      return `${path} ${size} ${mtimeMs}`;
    }),
  );
}

function installState() {
  if (!existsSync(join(ROOT, "node_modules"))) return "none";
  const lock = readFileSync(join(ROOT, "package-lock.json"));
  return digest([lock, process.platform, process.arch]);
}

function packState() {
  const pack = join(CACHE, "models/default/pack.json");
  if (!existsSync(pack)) return "none";
  const weights = join(ROOT, "node_modules/@vladmandic/face-api/package.json");
  return digest([readFileSync(pack), readFileSync(weights)]);
}

async function unlessDone(name, state, action) {
  const stamp = join(CACHE, `${name}.stamp`);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === state()) return;
  try {
    mkdirSync(CACHE, { recursive: true });
  } catch (error) {
    fail(`${CACHE} cannot be written: ${error.code}`, "run it as the owner of this clone");
  }
  await action();
  writeFileSync(stamp, state());
}

async function install() {
  // The npm that runs us, where one does: the machine may have several, or none on PATH.
  const npm = process.env.npm_execpath ?? "";
  const [command, ...before] = /npm-cli\.c?js$/.test(npm) ? [process.execPath, npm] : ["npm"];
  const options = `${process.env.NODE_OPTIONS ?? ""} --require ./scripts/own-engines.cjs`;
  const failure = await step("installing dependencies", command, [...before, "ci"], {
    NODE_OPTIONS: options.trim(),
  });
  if (failure !== null) fail(`npm ci failed\n${failure}`, "it needs npm and its registry");
}

async function build() {
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  const failure =
    (await step("compiling", OWN_NODE, [compiler, "-p", "tsconfig.build.json"])) ??
    (await step("copying assets", OWN_NODE, [join(ROOT, "scripts/copy-assets.mjs")]));
  if (failure !== null) fail(`the build failed\n${failure}`);
}

async function buildModels() {
  const porchlight = join(ROOT, "bin/porchlight");
  const failure = await step("building the default model pack", porchlight, ["models", "build"]);
  if (failure !== null) fail(`the model pack was not built\n${failure}`);
}

await unlessDone("install", installState, install);
await unlessDone("build", sourceState, build);
await unlessDone("models", packState, buildModels);
