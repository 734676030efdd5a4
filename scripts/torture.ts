/** npm run torture [-- kills [seed]]: 1,000 kills by default; prints what was found as JSON. */
import { torture } from "../test/support/torture.ts";

const [kills = "1000", seed = String(Date.now() % 1e9)] = process.argv.slice(2);
const report = await torture(Number(kills), Number(seed));
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
const { lost, doubled, same, deviceFault, centreFault } = report;
if (lost + doubled > 0 || !same || deviceFault !== null || centreFault !== null) {
  process.exitCode = 1;
}
