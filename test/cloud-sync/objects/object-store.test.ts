import { randomUUID } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { createFolderStore } from "../../../cloud-sync/objects/folder.ts";
import type { ObjectStore } from "../../../cloud-sync/objects/object-store.ts";
import { createS3Store } from "../../../cloud-sync/objects/s3.ts";
import { keysOf, objectPromises, s3Promises } from "../../support/object-promises.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { needsVersitygw, type S3Server, startVersitygw } from "../../support/versitygw.ts";

const inFolder = suite("objects in a folder");
const inS3 = suite("objects in S3");

const temp = tempFolder("objects");
let folders = 0;
objectPromises(inFolder, () =>
  createFolderStore({ folder: join(temp.path, String(++folders), "deep"), newId: randomUUID }),
);
inFolder.after(() => temp.remove());

inFolder(
  "what a crash has left half written is not there, and nobody else may upload",
  async () => {
    const folder = join(temp.path, "crashed");
    const objects = createFolderStore({ folder, newId: randomUUID });
    await objects.open();
    await objects.put("a.bin", Buffer.from("whole"));
    writeFileSync(join(folder, "b.bin.unfinished-1"), "ha");
    assert.equal(await keysOf(objects, ""), ["a.bin"]);
    assert.equal(readdirSync(folder).sort(), ["a.bin", "b.bin.unfinished-1"]);
    const wish = { key: "c.bin", sha256: "a".repeat(64), bytes: 1, expiresInS: 60 };
    assert.is(await objects.grantPut(wish), null);
  },
);

if (needsVersitygw()) {
  let server: S3Server | undefined;
  let buckets = 0;
  const made = (more: Partial<Parameters<typeof createS3Store>[0]> = {}): ObjectStore => {
    if (server === undefined) throw new Error("the server is started first");
    return createS3Store({ ...server.account, bucket: `bucket-${++buckets}`, ...more });
  };
  inS3.before(async () => {
    server = await startVersitygw();
  });
  inS3.after(() => server?.stop());
  objectPromises(inS3, () => made());
  s3Promises(inS3, made);
}

inFolder.run();
inS3.run();
