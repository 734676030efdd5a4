import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import * as assert from "uvu/assert";
import type { UploadGrant } from "../../../cloud-sync/objects/object-store.ts";
import { suite } from "../../support/suite.ts";
import { startFolderPlace, startS3Place } from "../../support/upload-places.ts";
import { grantOf, statusOf, uploadPromises, wishFor } from "../../support/upload-promises.ts";
import { needsVersitygw } from "../../support/versitygw.ts";

const inFolder = suite("uploads into a folder, over HTTP");
const inS3 = suite("uploads into S3, presigned");

uploadPromises(inFolder, startFolderPlace);

inFolder("a signature that was forged or is of another process is refused", async () => {
  const [place, other] = [await startFolderPlace(), await startFolderPlace()];
  const content = randomBytes(1_000);
  const wish = wishFor(content);
  const grant = await grantOf(place, wish);
  const signed = (signature: string): UploadGrant => ({
    ...grant,
    headers: { ...grant.headers, "x-porchlight-signature": signature },
  });
  const theirs = (await grantOf(other, wish)).headers["x-porchlight-signature"] ?? "";
  for (const signature of ["", "00", "0".repeat(64), "no hex", theirs]) {
    assert.is(await statusOf(signed(signature), content), 403, signature);
  }
  const later = String(Date.now() + 9_999_999);
  const stretched = { ...grant.headers, "x-porchlight-expires": later };
  assert.is(await statusOf({ ...grant, headers: stretched }, content), 403, "a longer life");
  assert.is(await statusOf(grant, content), 201);
  place.later(61_000);
  assert.is(await statusOf(grant, content), 403, "over");
  assert.not(readdirSync(place.folder, { recursive: true }).join().includes("unfinished"));
  await Promise.all([place.stop(), other.stop()]);
});

if (needsVersitygw()) uploadPromises(inS3, startS3Place);

inFolder.run();
inS3.run();
