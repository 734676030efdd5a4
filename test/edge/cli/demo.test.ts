import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { json, porchlight } from "../../support/cli.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const showing = suite("the demo");
const folder = tempFolder("demo");
showing.after(() => folder.remove());

showing("the demo runs, is right about everybody, and writes its contact sheet", async () => {
  chmodSync(folder.path, 0o755);
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

showing.run();
