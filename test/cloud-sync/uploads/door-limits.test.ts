import { createHash, randomBytes, randomUUID } from "node:crypto";
import { type ClientRequest, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { UPLOADS_PER_DEVICE_MAX } from "../../../cloud-sync/fairness/limits.ts";
import { mediaKey } from "../../../cloud-sync/objects/media-key.ts";
import type { UploadGrant } from "../../../cloud-sync/objects/object-store.ts";
import { createUploads } from "../../../cloud-sync/uploads/grants.ts";
import { Central } from "../../support/central.ts";
import { startFast } from "../../support/engines.ts";
import { keepingLogger } from "../../support/ingest.ts";
import { batchOf, logOf, opened, visitLike } from "../../support/links.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";
import { startFolderPlace, type UploadPlace } from "../../support/upload-places.ts";
import { statusOf, wishFor } from "../../support/upload-promises.ts";

const limiting = suite("uploads of a device that takes more than its share");
const BYTES = 50_000;

async function granted(place: UploadPlace, device: string): Promise<[UploadGrant, Buffer]> {
  const content = randomBytes(BYTES);
  const wish = wishFor(content);
  const grant = await place.objects.grantPut({ ...wish, key: mediaKey(device, wish.sha256) });
  assert.ok(grant);
  return [grant, content];
}

/** An upload that begins, and brings no more. */
function begun({ url, headers }: UploadGrant): { status: number | null; upload: ClientRequest } {
  const upload = request(url, { method: "PUT", headers });
  const begun = { status: null as number | null, upload };
  upload
    .on("error", () => undefined)
    .on("response", (response) => {
      begun.status = response.statusCode ?? null;
      response.resume();
    });
  upload.write("x");
  return begun;
}

limiting("it has a few places, each object one, and the others are another's", async () => {
  const place = await startFolderPlace();
  const [hostile, honest] = [randomUUID(), randomUUID()];
  const [grant] = await granted(place, hostile);
  const first = begun(grant);
  await sleep(100);
  const again = Array.from({ length: 10 }, () => begun(grant));
  await until("the same grant is used once", () => again.every(({ status }) => status === 503));
  const grants = await Promise.all(Array.from({ length: 64 }, () => granted(place, hostile)));
  const all = grants.map(([each]) => begun(each));
  const refused = () => all.filter(({ status }) => status === 503).length;
  await until("it has its places", () => refused() === 64 - UPLOADS_PER_DEVICE_MAX + 1);
  assert.is(await statusOf(...(await granted(place, honest))), 201);
  for (const { upload } of [first, ...all]) upload.destroy();
  await until("its places are free again", async () => {
    return (await statusOf(...(await granted(place, hostile)))) === 201;
  });
  await place.stop();
});

limiting("whatever its headers say is refused, and no mistake of ours", async () => {
  const place = await startFolderPlace();
  const [{ url, headers }, content] = await granted(place, randomUUID());
  const odd = ["NaN", "-1", "1e999", "9007199254740993", "", "é".repeat(3), "x".repeat(9_000)];
  for (const name of Object.keys(headers).filter((each) => each !== "content-length")) {
    for (const value of odd) {
      const status = await statusOf({ url, headers: { ...headers, [name]: value } }, content);
      assert.ok([400, 403, null].includes(status), `${name}: ${value.slice(0, 20)}: ${status}`);
    }
  }
  assert.is(await statusOf({ url, headers }, content), 201);
  await place.stop();
});

if (needsPostgres()) {
  limiting("a grant that cannot be made is dropped, and the next is made", async () => {
    const central = new Central(startFast);
    await central.begin();
    const [device, log, visit] = [randomUUID(), randomUUID(), randomUUID()];
    const sha256 = createHash("sha256").update("x").digest("hex");
    const data = {
      bytes: 1,
      heightPx: 1,
      kind: "snapshot",
      media: visit,
      sha256,
      visit,
      widthPx: 1,
    };
    const said = { ...visitLike(1), type: "media.captured", data } as const;
    const batch = batchOf(log, logOf(log, [opened(device), said]));
    assert.equal(await central.kinds({ device, batch }), ["appended"]);
    // Plain HTTP to another machine, as objects.url may say; what no device takes.
    const urls = ["http://192.0.2.2:7070/x", "https://192.0.2.2/x"];
    const { logger, lines } = keepingLogger();
    const published: Buffer[] = [];
    const uploads = createUploads({
      database: central.database,
      objects: {
        open: async () => undefined,
        head: async () => null,
        grantPut: async () => ({ url: urls.shift() ?? "", headers: {} }),
      },
      publish: (_, payload) => void published.push(payload),
      now: Date.now,
      logger,
    });
    const stop = new AbortController();
    const running = uploads.run(stop.signal);
    const wish = Buffer.from(JSON.stringify({ log, seq: 2, sha256, bytes: 1 }));
    uploads.hear(device, wish);
    await until("it is dropped", () => uploads.stats().dropped === 1);
    uploads.hear(device, wish);
    await until("the next is made", () => published.length === 1);
    assert.match(lines.join(""), /upload request failed/);
    stop.abort();
    await running;
    await central.end();
    await central.stop();
  });
}

limiting.run();
