/** Runs the uvu suites of one test file in this process. Fails when a suite is not run or leaks. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "uvu/run";

/** Time for sockets and children that are closing when the last test ends: a busy machine takes seconds. */
const LEAK_GRACE_MS = 15_000;

/** USER_HZ of every Linux that Node.js is built for. */
const TICKS_PER_S = 100;

const [name = ""] = process.argv.slice(2);
const source = readFileSync(name, "utf8");
if (/from "uvu"/.test(source)) {
  throw new Error(
    `${name}: use test/support/suite.ts: uvu forgets a bare test(), and hides a hook`,
  );
}
const suites = [...source.matchAll(/^const (\w+) = suite[(<]/gm)].map(([, variable]) => variable);
if (suites.length === 0) throw new Error(`${name}: no suite() in it`);
for (const variable of suites) {
  if (!source.includes(`${variable}.run()`)) throw new Error(`${name}: add ${variable}.run()`);
}

/** Of this process and of all that it has waited for, in seconds: see proc_pid_stat(5). */
process.once("exit", () => {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)?.split(" ") ?? [];
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  process.stdout.write(`cpu: ${(ticks / TICKS_PER_S).toFixed(1)}\n`);
});

await run([{ name, file: resolve(name) }], { bail: false });
setTimeout(() => {
  const open = process.getActiveResourcesInfo().join(", ");
  process.stderr.write(`${name}: tests left handles open: ${open}\n`);
  process.exit(1);
}, LEAK_GRACE_MS).unref();
