import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { type Child, storeProcess, writeOrder } from "../../support/child.ts";
import { seeded } from "../../support/facts.ts";
import { needsProgram } from "../../support/needs.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const crashing = suite("a writer that is killed");
const KILLS = 20;
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

async function started(
  at: TestStore,
  rounds: number | null,
  before: string[] = [],
): Promise<Child> {
  const child = storeProcess("write", writeOrder(at, "sample", rounds), before);
  await child.ready;
  child.go();
  return child;
}

crashing(
  "20 times at any moment leaves a log without a gap, with all it reported in it",
  async () => {
    process.stdout.write(`SEED=${SEED} `);
    const random = seeded(SEED);
    const at = testStore();
    at.store.close();
    let reported = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const child = await started(at, null);
      while (child.lines.length === 0) await sleep(1);
      await sleep(random() * 120);
      child.process.kill("SIGKILL");
      await child.ended;
      const { log } = at.reopen();
      const report = log.verify([]);
      assert.is(report.fault, null);
      assert.is(report.entries, log.head().seq);
      for (const line of child.lines) {
        const [seq, hash] = line.split(" ");
        if (hash?.length !== 64) continue; // the kill cut this line off
        assert.is(log.readAfter(Number(seq) - 1, 1)[0]?.hash, hash, `entry ${seq} was reported`);
        reported++;
      }
      at.store.close();
    }
    assert.ok(reported > KILLS, `${reported} entries were reported`);
    at.remove();
  },
);

crashing(
  "has synced the disk before it reported anything: every append ends in fdatasync",
  async () => {
    if (!needsProgram("strace", "strace")) return;
    const at = testStore();
    const trace = join(at.options.folder, "trace");
    const calls = "trace=write,pwrite64,fsync,fdatasync";
    const strace = ["strace", "-f", "--seccomp-bpf", "-y", "-e", calls, "-o", trace];
    const appends = 5;
    const child = await started(at, appends, strace);
    const { code, err } = await child.ended;
    assert.is(code, 0, err);
    let unsynced = true;
    let reports = 0;
    for (const line of readFileSync(trace, "utf8").split("\n")) {
      const ofLog = line.includes("/log.db");
      if (ofLog && line.includes("pwrite64(")) unsynced = true;
      if (ofLog && /f(data)?sync\(.*= 0$/.test(line)) unsynced = false;
      if (!/write\(1<.*"\d+ [0-9a-f]+/.test(line)) continue;
      assert.not(unsynced, `reported before it was on disk: ${line}`);
      reports++;
      unsynced = true; // the next one needs a sync of its own
    }
    assert.is(reports, appends);
    at.remove();
  },
);

crashing.run();
