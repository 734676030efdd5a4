import * as assert from "uvu/assert";
import { needsMosquitto } from "../support/mosquitto.ts";
import { needsPostgres } from "../support/postgres.ts";
import { suite } from "../support/suite.ts";
import { torture } from "../support/torture.ts";

const killing = suite("a device and its centre, killed with -9 at any moment");
/** The long one is `npm run torture`: a thousand. */
const KILLS = 40;

if (needsMosquitto() && needsPostgres()) {
  killing("everything arrives once, byte for byte, and nothing reported is missing", async () => {
    const seed = Number(process.env["PORCHLIGHT_TEST_SEED"] ?? Date.now() % 1e9);
    const report = await torture(KILLS, seed);
    const said = JSON.stringify(report);
    process.stdout.write(`${said}\n`);
    const { lost, doubled, same, deviceFault, centreFault, deadLetters, reported } = report;
    assert.equal(
      { lost, doubled, same, deviceFault, centreFault, deadLetters },
      { lost: 0, doubled: 0, same: true, deviceFault: null, centreFault: null, deadLetters: 0 },
      said,
    );
    assert.ok(reported > 0, said);
  });
}

killing.run();
