/** Runs the uvu suites of one test file in this process. Fails when a suite is not run or leaks. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "uvu/run";

/** Time for sockets and children that are closing when the last test ends. */
const LEAK_GRACE_MS = 2_000;

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

await run([{ name, file: resolve(name) }], { bail: false });
setTimeout(() => {
  const open = process.getActiveResourcesInfo().join(", ");
  process.stderr.write(`${name}: tests left handles open: ${open}\n`);
  process.exit(1);
}, LEAK_GRACE_MS).unref();
