import { randomBytes, randomUUID } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import mqtt from "mqtt";
import * as assert from "uvu/assert";
import { createAckedStore, UNSIGNED_SITE } from "../../../edge/log/acked.ts";
import { logPath, openLog } from "../../../edge/log/open-log.ts";
import { createUploadedStore } from "../../../edge/log/uploaded.ts";
import { PERSONAL_CLASSES } from "../../../shared/log/entry.ts";
import { sealObject } from "../../../shared/log/seal.ts";
import { siteIdOf } from "../../../shared/log/site-key.ts";
import { startAgent } from "../../support/agent-process.ts";
import { filesIn } from "../../support/bytes.ts";
import { CROP, tracesIn } from "../../support/canary.ts";
import { CentreLink } from "../../support/centre-link.ts";
import { deviceOf } from "../../support/device.ts";
import {
  CANARY_NAME,
  canaryFace,
  captured,
  enrolled,
  pressed,
  renamed,
  template,
  visit,
} from "../../support/facts.ts";
import { needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { plainPages } from "../../support/plain-pages.ts";
import { newSite, release } from "../../support/released.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";
import { startFolderPlace } from "../../support/upload-places.ts";

const canary = suite("the process that has the network");

/** Everything a process has in memory that it may write to; other regions are files. */
function memoryOf(pid: number): Buffer {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const regions = readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line));
  const parts: Buffer[] = [];
  for (const region of regions) {
    if (region === null) continue;
    const [from, to] = [Number(`0x${region[1]}`), Number(`0x${region[2]}`)];
    const part = Buffer.alloc(to - from);
    try {
      parts.push(part.subarray(0, readSync(memory, part, 0, part.length, from)));
    } catch {
      // given back between the two looks
    }
  }
  closeSync(memory);
  return Buffer.concat(parts);
}

if (needsMosquitto()) {
  canary("finds no name, vector or picture in anything that it can open, say or send", async () => {
    const at = testStore();
    const person = randomUUID();
    const id = randomUUID();
    at.store.append([
      enrolled(person, "somebody"),
      renamed(person, CANARY_NAME),
      template(person, canaryFace(), { crop: CROP }),
    ]);
    const { reader, database, close } = openLog(at.options);
    const site = newSite();
    await release(at.store, deviceOf(reader), PERSONAL_CLASSES, site.publicKey);
    const released = PERSONAL_CLASSES.flatMap(
      (each) => at.store.keyring.export(person, each) ?? [],
    );
    assert.is(released.length, 2, "a name and a face are released");
    const broker = await startMosquitto();
    const link = new CentreLink(broker.url);
    const everything: Buffer[] = [];
    const listener = mqtt.connect(broker.url);
    listener.on("connect", () => void listener.subscribe("#", { qos: 1 }));
    listener.on("message", (topic, payload) => {
      everything.push(Buffer.from(topic), payload);
      if (payload[0] === 0x1f && payload[1] === 0x8b) everything.push(gunzipSync(payload));
    });
    await until("both listen", () => link.client.connected && listener.connected);
    const agent = startAgent(at, deviceOf(reader), broker.url);
    await until("it is connected", () => agent.said().includes("connected to the centre"));
    const [started, recognised, ended] = visit(id, person);
    const shot = { biometric: { crops: [CROP.toString("base64")] } };
    assert.ok(started && recognised?.type === "visit.recognised" && ended);
    const objectKey = randomBytes(32);
    const object = captured(id);
    const sealed = sealObject(objectKey, object.data.media, CROP);
    const sha256 = await at.store.mediaFiles.write(sealed);
    const media = { digest: "b".repeat(64), key: objectKey.toString("base64") };
    const data = { ...object.data, sha256, bytes: sealed.length };
    at.store.append([
      pressed(),
      started,
      { ...recognised, subject: person, personal: shot },
      { ...object, data, personal: { media } },
      ended,
    ]);
    const acked = createAckedStore(database, UNSIGNED_SITE);
    await until("all is there", () => acked.read()?.cursor.seq === reader.head().seq);
    await until("the visit was told", () => Buffer.concat(everything).includes('"kind":"ended"'));

    const told = (): Buffer => Buffer.concat(everything);
    await until("it has told of the keys", () => told().includes(siteIdOf(site.publicKey)));

    const place = await startFolderPlace();
    const wish = { key: `media/${sha256}`, sha256, bytes: sealed.length, expiresInS: 60 };
    const { url, headers } = (await place.objects.grantPut(wish)) ?? { url: "", headers: {} };
    const grant = JSON.stringify({ sha256, url, headers, expiresAt: Date.now() + 60_000 });
    const asked = () => Buffer.concat(everything).includes("/upload/request");
    await until("it asks to bring the snapshot", asked);
    listener.publish(`porchlight/v1/${deviceOf(reader)}/upload/grant`, grant, { qos: 1 });
    const uploaded = createUploadedStore(database, UNSIGNED_SITE);
    await until("it has brought it", () => uploaded.waiting() === 0);
    for (const [path, bytes] of filesIn(place.folder)) {
      assert.ok(bytes.equals(sealed), "it was brought as it lay there");
      assert.equal(tracesIn(bytes), [], path);
    }

    const { folder, logKey } = at.options;
    const pages = plainPages(logPath(folder), logKey);
    assert.ok(pages.includes('"type":"media.captured"'), "the pages were decrypted");
    assert.equal(tracesIn(pages), [], "log.db with its key, free pages and write-ahead log");
    for (const own of ["log", "media", "agent", "run"]) {
      for (const [path, bytes] of filesIn(join(folder, own)))
        assert.equal(tracesIn(bytes), [], path);
    }
    assert.equal(tracesIn(Buffer.from(agent.said())), [], "what it says");
    const sent = Buffer.concat(everything);
    assert.ok(sent.includes(person), "the search works: pseudonyms are there");
    assert.equal(tracesIn(sent), [], "what it sends");
    const memory = memoryOf(agent.child.pid ?? 0);
    assert.ok(memory.includes(person), "its memory was read");
    assert.equal(tracesIn(memory), [], "what it has in memory");
    assert.not(memory.includes(objectKey), "nor the key of a snapshot");

    for (const key of released) {
      for (const [where, bytes] of Object.entries({ pages, sent, memory })) {
        for (const form of [
          key,
          Buffer.from(key.toString("base64")),
          Buffer.from(key.toString("hex")),
        ])
          assert.not(bytes.includes(form), `a key that was released, in its ${where}`);
      }
    }

    await agent.stop();
    link.client.end(true);
    listener.end(true);
    await broker.stop();
    await place.stop();
    close();
    at.remove();
  });
}

canary.run();
