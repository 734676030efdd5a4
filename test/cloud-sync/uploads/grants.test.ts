import { createHash, randomBytes, randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { mediaKey } from "../../../cloud-sync/objects/media-key.ts";
import { createUploads, type Uploads } from "../../../cloud-sync/uploads/grants.ts";
import { createPut } from "../../../edge/sync/put.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import {
  decodeMessage,
  encodeMessage,
  type Topic,
  type UploadAnswer,
  type UploadRequest,
  uploadGrantSchema,
  uploadRequestSchema,
} from "../../../shared/protocol/wire.ts";
import { Central, Device } from "../../support/central.ts";
import { startOwn } from "../../support/engines.ts";
import { type Fact, logOf, opened, visitLike } from "../../support/links.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";
import { startFolderPlace, type UploadPlace } from "../../support/upload-places.ts";

const granting = suite("who may bring what");
const central = new Central(startOwn);
const answers: { readonly topic: Topic; readonly answer: UploadAnswer }[] = [];
let place: UploadPlace;
let uploads: Uploads;
let stop: AbortController;
let ended: Promise<void>;

granting.before.each(async () => {
  await central.begin();
  place = await startFolderPlace();
  answers.length = 0;
  stop = new AbortController();
  uploads = createUploads({
    database: central.database,
    objects: place.objects,
    publish: (topic, payload) =>
      void answers.push({ topic, answer: decodeMessage(uploadGrantSchema, payload) }),
    now: Date.now,
    logger: silentLogger,
  });
  ended = uploads.run(stop.signal);
});
granting.after.each(async () => {
  stop.abort();
  await ended;
  await place.stop();
  await central.end();
});
granting.after(() => central.stop());

/** A device whose second entry announces this object. */
class Announcer extends Device {
  readonly content = randomBytes(5_000);
  readonly sha256 = createHash("sha256").update(this.content).digest("hex");
  readonly request: UploadRequest;

  constructor() {
    super(1);
    const { sha256 } = this;
    const visit = randomUUID();
    const data = {
      bytes: 5_000,
      heightPx: 1,
      kind: "snapshot",
      media: randomUUID(),
      sha256,
      visit,
    };
    const said: Fact = { ...visitLike(1), type: "media.captured", data: { ...data, widthPx: 1 } };
    this.links.splice(0, 1, ...logOf(this.log, [opened(this.device), said, visitLike(2)]));
    this.request = { log: this.log, seq: 2, sha256, bytes: 5_000 };
  }
}

async function asked(device: string, request: UploadRequest): Promise<UploadAnswer> {
  // To whom else it was said would be no answer.
  const own = () => answers.filter(({ topic }) => topic.device === device);
  const before = own().length;
  uploads.hear(device, encodeMessage(uploadRequestSchema, request));
  await until("it is answered", () => own().length > before);
  const last = own().at(-1);
  assert.is(last?.topic.channel, "upload/grant");
  assert.ok(last);
  return last.answer;
}

granting("what the log has announced is granted, and held once it is there", async () => {
  const door = new Announcer();
  await central.log.append([door.arrival()]);
  const answer = await asked(door.device, door.request);
  assert.ok("url" in answer);
  assert.ok(Math.abs(answer.expiresAt - Date.now() - 300_000) < 5_000, "good for five minutes");
  const put = createPut({ ca: undefined, local: true });
  const { status } = await put(answer, door.content, stop.signal);
  assert.is(status, 201);
  const key = mediaKey(door.device, door.sha256);
  assert.is((await place.objects.head(key))?.bytes, 5_000);
  assert.equal(await asked(door.device, door.request), { sha256: door.sha256, held: true });
  assert.equal(uploads.stats(), { granted: 1, held: 1, refused: 0, dropped: 0 });
});

granting("nothing is granted that was never announced, or that another has", async () => {
  const [a, b] = [new Announcer(), new Announcer()];
  await central.log.append([a.arrival(), b.arrival()]);
  const refused = async (what: string, device: string, change: Partial<UploadRequest>) => {
    const answer = await asked(device, { ...b.request, ...change });
    assert.ok("refused" in answer, what);
  };
  await refused("another's log", a.device, {});
  await refused("another's object in one's own log", a.device, { log: a.log });
  await refused("a device nobody knows", randomUUID(), {});
  await refused("another entry", b.device, { seq: 3 });
  await refused("an entry that is not there", b.device, { seq: 9 });
  await refused("another size", b.device, { bytes: 5_001 });
  await refused("another object", b.device, { sha256: "a".repeat(64) });
  await refused("a log that is not there", b.device, { log: randomUUID() });
  assert.ok("url" in (await asked(b.device, b.request)));
});

granting(
  "what is no request, too large or too much is dropped, and nothing waits for it",
  async () => {
    const door = new Announcer();
    await central.log.append([door.arrival()]);
    const large = { ...door.request, bytes: 8 * 1024 * 1024 + 1 };
    for (const text of ["", "{}", JSON.stringify(large), "x".repeat(100_000)]) {
      uploads.hear(door.device, Buffer.from(text));
    }
    assert.is(uploads.stats().dropped, 4);
    for (let i = 0; i < 50; i++) {
      uploads.hear(door.device, encodeMessage(uploadRequestSchema, door.request));
    }
    assert.is(uploads.stats().dropped, 4 + 42, "eight of one device wait");
    const other = new Announcer();
    await central.log.append([other.arrival()]);
    assert.ok("url" in (await asked(other.device, other.request)), "others are not kept waiting");
  },
);

granting.run();
