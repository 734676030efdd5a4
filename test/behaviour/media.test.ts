import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { decodeImage } from "../../edge/vision/image.ts";
import { startSync } from "../support/agent-process.ts";
import { filesIn } from "../support/bytes.ts";
import { holdsJpeg, isJpeg } from "../support/camera.ts";
import { collect, json, porchlight, startDaemon } from "../support/cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "../support/cloud.ts";
import { bundledPeople, writePhotos, writeScenes } from "../support/people.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { until } from "../support/until.ts";

interface Item {
  readonly id: string;
  readonly sha256: string;
  readonly widthPx: number;
}
interface Listed {
  readonly media: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly here: boolean;
}

const story = suite("snapshots, from the door to the centre");
const folder = tempFolder("media");
chmodSync(folder.path, 0o755);
const config = join(folder.path, "porchlight.yaml");
const at = ["--config", config];
const inCentre = ["--data", join(folder.path, "centre")];
const media = join(folder.path, "data", "media");
let centre: CentreProcess;

async function ran(args: readonly string[]): Promise<string> {
  const { code, out, err } = await porchlight([...args, ...at]);
  assert.is(code, 0, err);
  return out;
}

async function waiting(): Promise<number> {
  return json<{ uploads: number }>(await porchlight(["sync", "status", ...at, "--json"])).uploads;
}

function inCentreGet(id: string): ReturnType<typeof porchlightCloud> {
  const out = join(folder.path, `${id}.jpg`);
  return porchlightCloud(["media", "get", id, "--out", out, ...inCentre]);
}

/** What the centre has in its folder, by the SHA-256 that names it. */
function arrived(device: string): ReadonlyMap<string, Buffer> {
  const place = join(folder.path, "centre", "objects", "media", device);
  return existsSync(place) ? filesIn(place) : new Map();
}

story.before(async () => {
  const people = await bundledPeople();
  writePhotos(people, join(folder.path, "photos"));
  await writeScenes(people.slice(0, 3), join(folder.path, "scenes"), 4);
  writeFileSync(
    config,
    `data: ${folder.path}/data\nmodels: {threads: 1}\n` +
      `camera: {kind: files, name: door, paths: [${folder.path}/scenes], everyFrame: true}\n` +
      "recognition: {absentMs: 400, decideAfterMs: 300}\n",
  );
  await ran(["init"]);
  const [first] = people;
  assert.ok(first);
  await ran(["enroll", first.name, join(folder.path, "photos", first.name)]);
  centre = await startCentre(inCentre);
});
story.after(async () => {
  await centre.stop();
  folder.remove();
});

story("every one arrives as it was sealed, across a kill of agent and centre", async () => {
  const exported = await ran(["log", "export"]);
  const device: string = JSON.parse(exported.split("\n")[0] ?? "").data.device;
  const bundle = join(folder.path, "door.bundle");
  const added = await porchlightCloud(["devices", "add", device, "--out", bundle, ...inCentre]);
  assert.is(added.code, 0, added.err);
  await ran(["sync", "join", bundle]);
  const watched = await collect(startDaemon(at));
  assert.is(watched.code, 0, watched.err);
  const files = new Map([...filesIn(media)].map(([path, bytes]) => [path.slice(3), bytes]));
  const lines = (await ran(["log", "export"])).split("\n");
  const captured = lines.filter((line) => line.endsWith('"type":"media.captured"}'));
  const own = new Map(
    captured.map((line) => JSON.parse(line).data.sha256).map((name) => [name, files.get(name)]),
  );
  assert.ok(files.size > own.size, "crops of faces lie there as well, and stay");
  assert.ok(own.size >= 6, `${own.size} objects of three visits in two sizes`);

  const first = startSync(at);
  await until("some have arrived", () => arrived(device).size > 0);
  first.child.kill("SIGKILL");
  await first.ended;
  const { mqtt, http } = centre.ready;
  await centre.stop();
  const second = startSync(at);
  const ports = {
    PORCHLIGHT_CLOUD_BROKER_PORT: new URL(mqtt).port,
    PORCHLIGHT_CLOUD_HTTP_PORT: new URL(http).port,
    PORCHLIGHT_CLOUD_HTTP_METRICS_PORT: "0",
  };
  centre = await startCentre(inCentre, ports);
  await until("nothing waits any more", async () => (await waiting()) === 0);
  second.child.kill("SIGTERM");
  await second.ended;

  const there = arrived(device);
  assert.equal([...there.keys()].sort(), [...own.keys()].sort());
  for (const [sha256, bytes] of there) {
    assert.ok(own.get(sha256)?.equals(bytes), "byte for byte");
    assert.not(holdsJpeg(bytes), "no JPEG begins in it");
    await decodeImage(bytes).then(
      () => assert.unreachable("it can be seen"),
      () => undefined,
    );
  }
  const listing = await porchlightCloud(["media", "list", "--json", "--limit", "100", ...inCentre]);
  const listed = json<Listed[]>(listing);
  assert.equal(listed.map(({ sha256 }) => sha256).sort(), [...own.keys()].sort());
  assert.ok(listed.every(({ here }) => here));
});

story(
  "the centre opens by its commands what the owner has released, and nothing before",
  async () => {
    const cloud = async <T>(...args: readonly string[]): Promise<T> =>
      json<T>(await porchlightCloud([...args, "--json", ...inCentre]));
    const out = join(folder.path, "got.jpg");
    const [item] = await cloud<Listed[]>("media", "list");
    assert.ok(item);
    const get = () => porchlightCloud(["media", "get", item.media, "--out", out, ...inCentre]);
    const closed = await get();
    assert.is(closed.code, 2);
    assert.match(closed.err, "it is sealed");
    const names = async (what: string) =>
      (await cloud<{ name: string | null }[]>(what, "list")).flatMap(({ name }) => name ?? []);
    assert.equal([await names("people"), await names("visits")], [[], []]);
    assert.equal(await cloud("keys", "list"), []);

    writeFileSync(config, `${readFileSync(config)}sync: {release: [profile, media]}\n`);
    const sync = startSync(at);
    const watched = await collect(startDaemon(at));
    assert.is(watched.code, 0, watched.err);
    await until("every key that was handed over has arrived", async () => {
      const { keys } = json<{ keys: number }>(
        await porchlight(["sync", "status", ...at, "--json"]),
      );
      return keys === 0 && (await cloud<unknown[]>("keys", "list")).length === 2;
    });
    await sync.stop();
    const opened = await get();
    assert.is(opened.code, 0, opened.err);
    assert.ok(isJpeg(readFileSync(out)));
    assert.is(statSync(out).mode & 0o777, 0o600);
    const [person] = await names("people");
    assert.ok(person);
    assert.ok((await names("visits")).includes(person));
    const status = await porchlightCloud(["keys", "list", ...inCentre]);
    assert.match(status.out, /profile +\d/);
  },
);

story("the owner opens one at the door, and nobody where it was erased", async () => {
  const visits = json<{ id: string; name: string | null }[]>(
    await porchlight(["visits", "list", ...at, "--json"]),
  );
  const known = visits.find(({ name }) => name !== null);
  assert.ok(known);
  const shown = json<{ media: Item[] }>(
    await porchlight(["visits", "show", known.id, ...at, "--json"]),
  );
  const [large] = shown.media;
  assert.ok(large);
  const out = join(folder.path, "shown.jpg");
  writeFileSync(out, "open to all");
  chmodSync(out, 0o666);
  await ran(["media", "show", large.id, "--out", out]);
  assert.is(statSync(out).mode & 0o777, 0o600, "whatever was there before");
  const link = `${out}.link`;
  symlinkSync(out, link);
  const linked = await porchlight(["media", "show", large.id, "--out", link, ...at]);
  assert.is(linked.code, 64, "through no link");
  const nowhere = join(folder.path, "no-folder", "x.jpg");
  const refused = await porchlight(["media", "show", large.id, "--out", nowhere, ...at]);
  assert.is(refused.code, 1);
  assert.match(refused.err, /cannot be written by user [\s\S]*name a file/);
  const picture = readFileSync(out);
  assert.ok(isJpeg(picture) && holdsJpeg(picture), "the search works");
  assert.is((await decodeImage(picture)).width, large.widthPx);
  const before = filesIn(media).size;
  assert.is((await inCentreGet(large.id)).code, 0);
  await ran(["people", "remove", known.name ?? "", "--yes"]);
  assert.ok(filesIn(media).size < before);
  const { code, err } = await porchlight(["media", "show", large.id, "--out", out, ...at]);
  assert.is(code, 2, err);
  await ran(["sync", "run", "--until-acked"]);
  await until("nor in the centre", async () => (await inCentreGet(large.id)).code === 2);
});

story(
  "the centre forgets what a device has released, and begins anew with another key",
  async () => {
    const cloud = async <T>(...args: readonly string[]): Promise<T> =>
      json<T>(await porchlightCloud([...args, "--json", ...inCentre]));
    const device = (await cloud<{ device: string }[]>("devices", "list"))[0]?.device ?? "";
    let open = "";
    for (const { media: id } of await cloud<Listed[]>("media", "list", "--limit", "100")) {
      open = id;
      if ((await inCentreGet(id)).code === 0) break;
    }
    assert.is((await inCentreGet(open)).code, 0, "strangers' snapshots are released as well");
    assert.is((await porchlightCloud(["keys", "forget", device, ...inCentre])).code, 64);
    const { forgotten } = await cloud<{ forgotten: number }>("keys", "forget", device, "--yes");
    assert.ok(forgotten > 0);
    assert.equal([(await inCentreGet(open)).code, await cloud("keys", "list")], [2, []]);
    const before = (await cloud<{ siteKey: string }>("status")).siteKey;
    const { siteKey } = await cloud<{ siteKey: string }>("keys", "renew", "--yes");
    assert.is.not(siteKey, before);
    assert.is((await cloud<{ siteKey: string }>("status")).siteKey, siteKey);
  },
);

story.run();
