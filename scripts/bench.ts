/**
 * Runs each test/bench/*.bench.ts in a process of its own, one after the other, and prints its
 * results: a table, or with --json one object a line. Arguments pick benches by a part of their name.
 */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { cpus } from "node:os";
import { createInterface } from "node:readline";
import type { BenchResult } from "../test/support/bench.ts";

const json = process.argv.includes("--json");
const wanted = process.argv.slice(2).filter((argument) => argument !== "--json");
const benches = readdirSync("test/bench")
  .filter((name) => name.endsWith(".bench.ts"))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();
if (benches.length === 0) {
  process.stderr.write(`no bench is named ${wanted.join(" ")}; they are in test/bench\n`);
  process.exit(2);
}

/** A figure with as many digits as it has meaning. */
function plain(value: number | null): string {
  return value === null ? "" : value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

function show(line: string): void {
  if (json) {
    process.stdout.write(`${line}\n`);
    return;
  }
  const result: BenchResult = JSON.parse(line);
  const name = `${result.bench} · ${result.case} · ${result.metric}`.padEnd(64);
  const figure = `${plain(result.value)} ${result.unit}`.padStart(20);
  const against = result.baseline === null ? "" : `baseline ${plain(result.baseline)}`;
  const ratio = result.ratio === null ? "" : `ratio ${result.ratio.toFixed(3)}`;
  process.stdout.write(`${name} ${figure}  ${against.padEnd(20)} ${ratio}\n`);
}

function run(name: string): Promise<boolean> {
  const child = spawn(process.execPath, ["--expose-gc", `test/bench/${name}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  createInterface({ input: child.stdout }).on("line", show);
  return new Promise((done) => child.on("close", (code) => done(code === 0)));
}

const model = cpus()[0]?.model ?? "unknown processor";
process.stderr.write(`${cpus().length} × ${model}, Node ${process.versions.node}\n`);
for (const name of benches) {
  if (await run(name)) continue;
  process.stderr.write(`${name} failed\n`);
  process.exitCode = 1;
}
