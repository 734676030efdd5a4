import { createHash, randomBytes, randomUUID } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { Uploads } from "../../../edge/feed/uploads.ts";
import { UNSIGNED_SITE } from "../../../edge/log/acked.ts";
import { type OpenLog, openLog } from "../../../edge/log/open-log.ts";
import { createUploadedStore } from "../../../edge/log/uploaded.ts";
import { createPut, type Put } from "../../../edge/sync/put.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import type { UploadAnswer, UploadRequest } from "../../../shared/protocol/wire.ts";
import { createAuthority, pem } from "../../support/certificates.ts";
import { captured, sampled } from "../../support/facts.ts";
import { freePort } from "../../support/port.ts";
import { rejects } from "../../support/rejects.ts";
import { type TestStore, testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";
import { startFolderPlace, type UploadPlace } from "../../support/upload-places.ts";
import { uploadsOf } from "../../support/uploads.ts";

const uploading = suite("uploads from a device");
const MINUTE = 60_000;

/** A device with objects, and a centre that grants what it is asked for, where it is let. */
class Door {
  readonly at: TestStore = testStore();
  readonly #opened: OpenLog = openLog(this.at.options);
  readonly place: UploadPlace;
  readonly asked: UploadRequest[] = [];
  nowMs = 0;
  put: Put = createPut({ ca: undefined, local: true });
  /** What the centre says; null: nothing. */
  answer: (request: UploadRequest) => Promise<UploadAnswer | null>;
  uploads: Uploads;

  constructor(place: UploadPlace) {
    this.place = place;
    this.answer = (request) => this.granted(request);
    this.uploads = this.#start();
  }

  keyOf(sha256: string): string {
    return `media/door/${sha256}`;
  }

  async granted({ sha256, bytes }: UploadRequest): Promise<UploadAnswer> {
    const wish = { key: this.keyOf(sha256), sha256, bytes, expiresInS: 60 };
    const grant = await this.place.objects.grantPut(wish);
    if (grant === null) throw new Error("this place grants");
    return { sha256, ...grant, expiresAt: Date.now() + MINUTE };
  }

  #start(): Uploads {
    const clock = { now: () => this.nowMs, monotonicMs: () => this.nowMs };
    const put: Put = (...given) => this.put(...given);
    const uploads = uploadsOf(this.#opened, this.at.options.folder, { put, clock });
    uploads.begin((request) => {
      this.asked.push(request);
      void this.answer(request).then((said) => {
        if (said !== null) this.uploads.onGrant(said);
      });
    });
    return uploads;
  }

  /** As after a kill: what was in memory is gone. */
  async restart(): Promise<void> {
    await this.uploads.stop();
    this.uploads = this.#start();
  }

  /** Objects, each announced, with other entries between them. */
  async capture(count: number): Promise<string[]> {
    const made: string[] = [];
    for (let i = 0; i < count; i++) {
      const content = randomBytes(2_000);
      const sha256 = await this.at.store.mediaFiles.write(content);
      const { data, ...draft } = captured(randomUUID());
      this.at.store.append([
        sampled(i),
        { ...draft, data: { ...data, sha256, bytes: content.length } },
      ]);
      made.push(sha256);
    }
    return made;
  }

  /** Everything is acknowledged; time passes until nothing is left. */
  async settle(turns = 1_000, stepMs = MINUTE): Promise<void> {
    for (let turn = 0; turn < turns && this.waiting() > 0; turn++) {
      this.nowMs += stepMs;
      this.uploads.pump(this.#opened.reader.head());
      await sleep(5);
    }
  }

  pump(): void {
    this.uploads.pump(this.#opened.reader.head());
  }

  pumpAt(seq: number): void {
    const { reader } = this.#opened;
    const place = reader.find(reader.head().log, seq);
    if (place !== null) this.uploads.pump(place);
  }

  waiting(): number {
    return createUploadedStore(this.#opened.database, UNSIGNED_SITE).waiting();
  }

  async there(): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of this.place.objects.list("media/")) {
      const sha256 = key.slice(key.lastIndexOf("/") + 1);
      const stream = await this.place.objects.get(key);
      const bytes = stream === null ? Buffer.alloc(0) : await buffer(stream);
      assert.is(createHash("sha256").update(bytes).digest("hex"), sha256, "byte for byte");
      found.push(sha256);
    }
    return found.sort();
  }

  async remove(): Promise<void> {
    await this.uploads.stop();
    this.#opened.close();
    this.at.remove();
    await this.place.stop();
  }
}

async function withDoor(story: (door: Door) => Promise<void>): Promise<void> {
  const door = new Door(await startFolderPlace());
  try {
    await story(door);
  } finally {
    await door.remove();
  }
}

uploading("every object gets there, two at a time, and is asked for once", async () => {
  await withDoor(async (door) => {
    const made = await door.capture(40);
    assert.is(door.waiting(), 40);
    door.pump();
    assert.is(door.asked.length, 2);
    await door.settle(2_000, 1);
    assert.equal(await door.there(), made.sort());
    assert.is(door.asked.length, 40);
    assert.is(door.waiting(), 0);
  });
});

uploading("nothing is asked for before the centre holds the entry that announces it", async () => {
  await withDoor(async (door) => {
    const [first] = await door.capture(2);
    door.pumpAt(2);
    assert.is(door.asked.length, 0);
    door.pumpAt(3);
    await until("one is asked for", () => door.asked.length === 1);
    assert.is(door.asked[0]?.sha256, first);
  });
});

uploading(
  "a centre that is away, a torn upload and a grant that is over are tried again",
  async () => {
    await withDoor(async (door) => {
      const made = await door.capture(12);
      let turn = 0;
      const put = door.put;
      door.put = async (target, body, signal) => {
        turn++;
        if (turn % 3 === 0) throw new PorchlightError("upload.failed", "torn", { remedy: "retry" });
        if (turn % 5 === 0) door.place.later(2 * MINUTE); // over before it has begun
        return await put(target, body, signal);
      };
      door.answer = async (request) => {
        if (turn++ % 4 !== 3) return await door.granted(request);
        return null;
      };
      await door.settle();
      assert.equal(await door.there(), made.sort());
      assert.ok(door.asked.length > 12);
    });
  },
);

uploading("an agent that is killed goes on, and what is there already is done", async () => {
  await withDoor(async (door) => {
    const made = await door.capture(10);
    const put = door.put;
    const heard = new Set(made.slice(0, 4));
    let killed = 0;
    door.put = async (target, body, signal) => {
      const status = await put(target, body, signal);
      if (heard.has(createHash("sha256").update(body).digest("hex"))) return status;
      killed++; // it is there, and the agent is killed before it hears so
      throw new PorchlightError("upload.failed", "killed", { remedy: "retry" });
    };
    for (let turn = 0; turn < 500 && (door.waiting() > 6 || killed < 2); turn++) {
      await door.settle(1);
    }
    assert.is(door.waiting(), 6);
    await door.restart();
    door.put = put;
    door.asked.length = 0;
    await door.settle(2_000, 1);
    assert.equal(await door.there(), made.sort());
    assert.ok(door.asked.length <= 6, "what was done is not asked for again");
    await door.restart();
    door.asked.length = 0;
    door.pump();
    assert.is(door.asked.length, 0, "nothing is left");
  });
});

uploading(
  "what was shed, erased or is held is passed over, and one that fails holds up no other",
  async () => {
    await withDoor(async (door) => {
      const [gone, held, refused, ...rest] = await door.capture(8);
      door.at.store.mediaFiles.remove(gone ?? "");
      door.answer = async (request) => {
        const { sha256 } = request;
        if (sha256 === held) return { sha256, held: true };
        if (sha256 === refused) return { sha256, refused: "unannounced" };
        return await door.granted(request);
      };
      await door.settle();
      assert.equal(await door.there(), rest.sort());
      assert.is(door.waiting(), 0, "after five refusals it is given up");
      assert.is(door.asked.filter(({ sha256 }) => sha256 === refused).length, 5);
    });
  },
);

uploading("a centre that holds less than it did is brought what it has lost", async () => {
  await withDoor(async (door) => {
    const made = await door.capture(6);
    await door.settle();
    for (const sha256 of made.slice(3)) await door.place.objects.delete(door.keyOf(sha256));
    door.pumpAt(7);
    for (let turn = 0; turn < 50; turn++) {
      door.pump();
      await sleep(5);
    }
    assert.equal(await door.there(), made.sort());
  });
});

uploading(
  "a place that is away or slow is given up in time, and a stop waits for nothing",
  async () => {
    const put = createPut({ ca: undefined, local: true });
    const url = `http://127.0.0.1:${await freePort()}/upload/x`;
    const stop = new AbortController();
    const unreachable = await rejects(
      () => put({ url, headers: {} }, Buffer.alloc(9), stop.signal),
      "upload.failed",
    );
    assert.is(unreachable.remedy, "retry");
    stop.abort();
    await rejects(() => put({ url, headers: {} }, Buffer.alloc(9), stop.signal), "upload.failed");
  },
);

uploading(
  "over TLS, the authority of the centre is trusted, and one that is unknown is not",
  async () => {
    const temp = tempFolder("upload-tls");
    const authority = createAuthority(temp.path);
    const { certificateFile, keyFile } = authority.issue("centre");
    const place = await startFolderPlace({ certificate: pem(certificateFile), key: pem(keyFile) });
    const content = randomBytes(2_000_000);
    const sha256 = createHash("sha256").update(content).digest("hex");
    const wish = { key: `media/door/${sha256}`, sha256, bytes: content.length, expiresInS: 60 };
    const grant = await place.objects.grantPut(wish);
    if (grant === null) throw new Error("this place grants");
    assert.ok(grant.url.startsWith("https:"));
    const { signal } = new AbortController();
    const stranger = createPut({ ca: undefined, local: true });
    await rejects(() => stranger(grant, content, signal), "upload.failed");
    assert.is(await place.objects.head(wish.key), null);
    const own = createPut({ ca: pem(authority.caFile), local: true });
    const [first, second] = [await own(grant, content, signal), await own(grant, content, signal)];
    assert.is(first.status, 201);
    assert.is(second.status, 412, "a large body is read to the end of the answer");
    await place.stop();
    temp.remove();
  },
);

uploading.run();
