/**
 * Runs every test file in a process of its own, two at a time, and ends with the plain line
 * "N passed, N failed" (", N skipped"). Arguments pick files by a part of their path; --full runs
 * the long stories of test/full instead.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";

interface Outcome {
  readonly file: string;
  readonly output: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** Of the processor, by all its processes that have ended. */
  readonly cpuSeconds: number;
}

const full = process.argv.includes("--full");
/** A file that runs longer hangs: the slowest story takes about two minutes on two cores. */
const FILE_TIMEOUT_MS = full ? 1_800_000 : 600_000;
/** The full run compares times with each other: one story at a time. */
const WORKERS = full ? 1 : Math.min(2, availableParallelism());
/** So many files are named at the end as those that took longest. */
const LONGEST = 10;
/** What a test prints when something it needs is not there (see test/support/needs.ts). */
const SKIP_MARK = /^skipped: .*$/gm;

const wanted = process.argv.slice(2).filter((argument) => argument !== "--full");
const files = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".test.ts") && path.startsWith("full/") === full)
  .map((path) => `test/${path}`)
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  .sort();
if (files.length === 0) throw new Error("no test file matched: is the pattern right?");

function count(output: string, label: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: uvu colours its figures
  const plain = output.replace(/\x1b\[\d+m/g, "");
  return Number(new RegExp(`^ {2}${label}: +(\\d+)`, "m").exec(plain)?.[1] ?? 0);
}

function runFile(file: string): Promise<Outcome> {
  const started = Date.now();
  const child = spawn(process.execPath, ["scripts/test-file.ts", file], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: FILE_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return new Promise((done) => {
    child.on("close", (code, signal) => {
      const total = count(output, "Total");
      const passed = count(output, "Passed");
      const skips = output.match(SKIP_MARK)?.length ?? 0;
      const skipped = count(output, "Skipped") + skips;
      if (signal !== null) output += `${file}: ended by ${signal}\n`;
      const broken = code !== 0 && passed === total ? 1 : 0;
      done({
        file,
        output,
        passed: Math.max(0, passed - skips),
        failed: total - passed + broken,
        skipped,
        seconds: (Date.now() - started) / 1000,
        cpuSeconds: Number(/^cpu: ([\d.]+)$/m.exec(output)?.[1] ?? 0),
      });
    });
  });
}

const began = Date.now();
function timeOf({ seconds, cpuSeconds }: Pick<Outcome, "seconds" | "cpuSeconds">): string {
  return `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU`;
}

/** Where the time went, the longest first. */
function reportLongest(): void {
  const longest = outcomes.toSorted((a, b) => b.seconds - a.seconds).slice(0, LONGEST);
  if (outcomes.length <= LONGEST) return;
  const cpuSeconds = outcomes.reduce((sum, outcome) => sum + outcome.cpuSeconds, 0);
  const all = { seconds: (Date.now() - began) / 1000, cpuSeconds };
  process.stdout.write(`all ${outcomes.length} files: ${timeOf(all)}; the longest:\n`);
  for (const outcome of longest)
    process.stdout.write(`     ${outcome.file} (${timeOf(outcome)})\n`);
}

const outcomes: Outcome[] = [];
const queue = [...files];
async function worker(): Promise<void> {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const outcome = await runFile(file);
    outcomes.push(outcome);
    const verdict = outcome.failed > 0 ? "FAIL" : "ok";
    const figures = `${outcome.passed} passed, ${timeOf(outcome)}`;
    process.stdout.write(`${verdict.padEnd(4)} ${file} (${figures})\n`);
    for (const line of outcome.output.match(SKIP_MARK) ?? [])
      process.stdout.write(`     ${line}\n`);
    if (outcome.failed > 0) process.stdout.write(`${outcome.output}\n`);
  }
}
await Promise.all(Array.from({ length: WORKERS }, worker));

const sum = (key: "passed" | "failed" | "skipped"): number =>
  outcomes.reduce((total, outcome) => total + outcome[key], 0);
const skipped = sum("skipped");
// On a build machine everything a test needs is there: a skip is a mistake in its set-up.
const skipFails = process.env["CI"] === "true" && skipped > 0;
if (skipFails) process.stdout.write("a skipped test is a failure where CI=true\n");
const failed = sum("failed") + (skipFails ? skipped : 0);
reportLongest();
const tail = skipped > 0 ? `, ${skipped} skipped` : "";
process.stdout.write(`${sum("passed")} passed, ${failed} failed${tail}\n`);
process.exitCode = failed > 0 ? 1 : 0;
