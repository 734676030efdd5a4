import { chmodSync, cpSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { json, porchlight } from "../support/cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "../support/cloud.ts";
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

/** A door whose folder is this one. */
function door(name: string) {
  const data = join(folder.path, name);
  const run = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await porchlight([...words, "--data", data]);
    assert.is(code, 0, err);
    return out;
  };
  return {
    data,
    run,
    agent: () => porchlight(["sync", "run", "--until-acked", "--data", data]),
    exported: async () => (await run("log", "export", "--all")).trimEnd().split("\n"),
  };
}

copying("the second story is a fork, the first stays whole, and the copy can go on", async () => {
  const [one, copy] = [door("one"), door("copy")];
  await one.run("init");
  const [opening = ""] = await one.exported();
  const device: string = JSON.parse(opening).data.device;
  const bundle = `${one.data}.bundle`;
  const added = await porchlightCloud(["devices", "add", device, "--out", bundle, ...centreAt]);
  assert.is(added.code, 0, added.err);
  await one.run("sync", "join", bundle);
  await one.run("ring");
  assert.is((await one.agent()).code, 0);
  cpSync(one.data, copy.data, { recursive: true });
  // Both ring in the same place: whoever comes second tells another story.
  for (const each of [one, copy]) await each.run("ring");
  assert.is((await one.agent()).code, 0);
  const stopped = await copy.agent();
  assert.is(stopped.code, 1, "it ends with what to do, and not with a crash");
  assert.match(stopped.err, "porchlight log renew");
  assert.match(centre.err(), "tells another story");

  const inCentre = async (): Promise<string[]> => {
    const ran = await porchlightCloud(["log", "export", "--device", device, ...centreAt]);
    return ran.out.trimEnd().split("\n");
  };
  const first = await one.exported();
  assert.equal(await inCentre(), first);
  await copy.run("log", "renew", "--yes");
  await copy.run("ring");
  const went = await copy.agent();
  assert.is(went.code, 0, went.err);
  const both = await inCentre();
  assert.equal(both.slice(0, first.length), first, "nothing of the first has changed");
  assert.is(both.at(-1), (await copy.exported()).at(-1));
  const listed = await porchlightCloud(["log", "list", "--device", device, ...centreAt, "--json"]);
  assert.is(json<unknown[]>(listed).length, 2);
  const verified = await porchlightCloud(["log", "verify", "--device", device, ...centreAt]);
  assert.is(verified.code, 0, verified.out);
});

copying.run();
