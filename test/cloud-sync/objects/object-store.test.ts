import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { createFolderStore } from "../../../cloud-sync/objects/folder.ts";
import type { ObjectStore } from "../../../cloud-sync/objects/object-store.ts";
import { createS3Store } from "../../../cloud-sync/objects/s3.ts";
import { createAuthority } from "../../support/certificates.ts";
import { keysOf, objectPromises, s3Promises } from "../../support/object-promises.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { statusOf, wishFor } from "../../support/upload-promises.ts";
import { needsVersitygw, type S3Server, startVersitygw } from "../../support/versitygw.ts";

const inFolder = suite("objects in a folder");
const inS3 = suite("objects in S3");

const temp = tempFolder("objects");
let folders = 0;
objectPromises(inFolder, () =>
  createFolderStore({ folder: join(temp.path, String(++folders), "deep"), newId: randomUUID }),
);

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

  inS3("grants are signed for the address that devices reach it at", async () => {
    const { port } = new URL(server?.account.endpoint ?? "");
    const objects = made({ publicEndpoint: `http://localhost:${port}` });
    await objects.open();
    const content = Buffer.from("sealed bytes");
    const grant = await objects.grantPut(wishFor(content));
    assert.is(new URL(grant?.url ?? "").host, `localhost:${port}`);
    assert.is(grant && (await statusOf(grant, content)), 200);
    objects.close();
  });

  for (const minutes of [-20, -6, 6, 20]) {
    inS3(
      `grants are good when our clock is ${minutes} min off, and that is told once`,
      async () => {
        const told: number[] = [];
        const objects = made({
          now: () => Date.now() + minutes * 60_000,
          skewed: (serverAheadS) => told.push(serverAheadS),
        });
        await objects.open();
        const content = Buffer.from(`sealed at ${minutes}`);
        assert.is(await objects.head("media/none"), null);
        const grant = await objects.grantPut(wishFor(content));
        assert.is(grant && (await statusOf(grant, content)), 200);
        assert.is(told.length, 1);
        assert.ok(Math.abs((told[0] ?? 0) + minutes * 60) <= 2, String(told));
        objects.close();
      },
    );
  }

  inS3("a server with a private authority is reached where that is named", async () => {
    const authority = createAuthority(temp.path);
    const secure = await startVersitygw(authority.issue("s3"));
    const ca = readFileSync(authority.caFile, "utf8");
    const unknown = createS3Store({ ...secure.account, bucket: "private" });
    const refused = await rejects(() => unknown.open(), "objects.unreachable");
    assert.match(refused.hint ?? "", "objects.ca");
    const objects = createS3Store({ ...secure.account, bucket: "private", ca });
    await objects.open();
    await objects.put("a.bin", Buffer.from("whole"));
    assert.equal(await keysOf(objects, ""), ["a.bin"]);
    for (const each of [unknown, objects]) each.close();
    await secure.stop();
  });
}

inS3.after(() => temp.remove());

inFolder.run();
inS3.run();
