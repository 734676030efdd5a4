import { chmodSync, cpSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { type CentreProcess, startCentre } from "../support/cloud.ts";
import { door, joined, startedTogether } from "../support/copies.ts";
import { needsMosquitto, startMosquitto } from "../support/mosquitto.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const copying = suite("two devices with one identity");
const folder = tempFolder("copied");
chmodSync(folder.path, 0o755);
const centreAt = ["--data", join(folder.path, "centre")];
let centre: CentreProcess;

copying.before(async () => {
  centre = await startCentre(centreAt);
});
copying.after(async () => {
  await centre.stop();
  folder.remove();
});

copying("the second story is a fork, the first stays whole, and the copy can go on", async () => {
  const { one, there } = await joined({ folder: folder.path, name: "one", at: centreAt });
  const copy = door(join(folder.path, "copy"));
  await one.run("ring");
  assert.is((await one.agent()).code, 0);
  cpSync(one.data, copy.data, { recursive: true });
  // Both ring in the same place: whoever comes second log fork detected.
  for (const each of [one, copy]) await each.run("ring");
  assert.is((await one.agent()).code, 0);
  const stopped = await copy.agent();
  assert.is(stopped.code, 1, "it ends with what to do, and not with a crash");
  assert.match(stopped.err, "porchlight log renew");
  assert.match(centre.err(), "log fork detected");

  const first = await one.exported();
  assert.equal(await there.exported(), first);
  await copy.run("log", "renew", "--yes");
  await copy.run("ring");
  const went = await copy.agent();
  assert.is(went.code, 0, went.err);
  const both = await there.exported();
  assert.equal(both.slice(0, first.length), first, "nothing of the first has changed");
  assert.is(both.at(-1), (await copy.exported()).at(-1));
  assert.is((await there.logs()).length, 2);
  await there.verify();
});

copying("started together, over a broker of our own: one story, and the other kept", async () => {
  await startedTogether({ folder: folder.path, name: "own", at: centreAt }, centre);
});

if (needsMosquitto()) {
  copying("started together, over Mosquitto: one story, and the other kept", async () => {
    const broker = await startMosquitto();
    const at = ["--data", join(folder.path, "centre-mosquitto")];
    const cloud = { PORCHLIGHT_CLOUD_MQTT_URL: broker.url };
    const another = await startCentre(at, cloud);
    try {
      await startedTogether({ folder: folder.path, name: "mosquitto", at, cloud }, another);
    } finally {
      await another.stop();
      await broker.stop();
    }
  });
}

copying.run();
