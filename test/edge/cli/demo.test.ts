import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { serversOn } from "../../../cloud-sync/postgres/cluster.ts";
import { json, porchlight, startPorchlight } from "../../support/cli.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const showing = suite("the demo");
const folder = tempFolder("demo");
showing.after(() => folder.remove());

showing("the demo runs, is right about everybody, and writes its contact sheet", async () => {
  const own = join(folder.path, "demo");
  const ran = await porchlight(["demo", "--data", own, "--json"]);
  assert.is(ran.code, 0, ran.err + ran.out);
  type Demo = {
    logWhole: boolean;
    sealed: boolean;
    sheet: string;
    visits: { right: boolean; arrivedAfterMs: number | null }[];
    centre: { visits: number; whole: boolean } | null;
  };
  const result = json<Demo>(ran);
  assert.ok(result.centre?.whole, ran.err);
  assert.is(result.centre.visits, result.visits.length);
  assert.ok(result.visits.every(({ arrivedAfterMs }) => arrivedAfterMs !== null));
  assert.ok(result.logWhole && result.sealed && existsSync(result.sheet));
  assert.ok(result.visits.every(({ right }) => right));
});

showing("a demo whose centre does not start has failed, and says why", async () => {
  const own = join(folder.path, "alone");
  const ran = await porchlight(["demo", "--data", own], { PORCHLIGHT_CLOUD_BROKER_PROT: "0" });
  assert.is(ran.code, 1);
  assert.match(ran.err, /the centre does not run: .*PORCHLIGHT_CLOUD_BROKER_PROT is not a setting/);
  assert.match(ran.err, /porchlight-cloud start/);
  assert.is(ran.out, "");
});

showing("a folder that holds something else is left as it is", async () => {
  const precious = join(folder.path, "precious");
  mkdirSync(precious);
  writeFileSync(join(precious, "photo.jpg"), "x");
  for (const own of [precious, join(precious, "photo.jpg")]) {
    const ran = await porchlight(["demo", "--data", own]);
    assert.is(ran.code, 64, ran.err);
    assert.match(ran.err, /is not empty, and holds no demo\n {2}choose an empty folder/);
  }
  assert.is(readFileSync(join(precious, "photo.jpg"), "utf8"), "x");
});

showing("a demo that is killed leaves neither centre nor agent nor database behind", async () => {
  const own = join(folder.path, "killed");
  const demo = startPorchlight(["demo", "--data", own]);
  let said = "";
  demo.stdout?.resume();
  demo.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await until("it replays", async () => said.includes("replaying the scenes"));
  assert.ok(processesOf(own).length >= 3, "demo, centre and agent");
  demo.kill("SIGKILL");
  await until("all have ended", async () => processesOf(own).length === 0);
  assert.equal(serversOn(join(own, "centre/postgres/data")), []);
});

/** Processes that were started with a path below this folder. */
function processesOf(path: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(path);
      } catch {
        return false; // it has ended meanwhile
      }
    });
}

showing.run();
