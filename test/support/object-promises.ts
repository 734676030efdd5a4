/** What the stores of objects promise, and S3 besides, whoever serves it. */
import { createHash, randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import * as assert from "uvu/assert";
import type { ObjectStore } from "../../cloud-sync/objects/object-store.ts";
import type { createS3Store } from "../../cloud-sync/objects/s3.ts";
import { freePort } from "./port.ts";
import { rejects } from "./rejects.ts";
import type { suite } from "./suite.ts";

type Tests = ReturnType<typeof suite>;
type S3Options = Parameters<typeof createS3Store>[0];

/** What every store of objects promises; each call of `store` gives an empty one. */
export function objectPromises(tests: Tests, store: () => ObjectStore): void {
  tests("what was put is got, listed and deleted; what is not there is null", async () => {
    const objects = store();
    await objects.open();
    await objects.open();
    await objects.put("a/b/one.bin", Buffer.from("one"));
    await objects.put("a/two.bin", Buffer.from("two"));
    await objects.put("a/two.bin", Buffer.from("another two"));
    await objects.put("c.bin", Buffer.alloc(0));
    assert.is(await contentOf(objects, "a/b/one.bin"), "one");
    assert.is(await contentOf(objects, "a/two.bin"), "another two");
    assert.is(await contentOf(objects, "a/three.bin"), null);
    assert.is(await contentOf(objects, "a/b"), null);
    assert.equal(await objects.head("a/b/one.bin"), { key: "a/b/one.bin", bytes: 3 });
    assert.is(await objects.head("a/b/none.bin"), null);
    assert.equal(await keysOf(objects, "a/"), ["a/b/one.bin", "a/two.bin"]);
    assert.equal(await keysOf(objects, ""), ["a/b/one.bin", "a/two.bin", "c.bin"]);
    await objects.delete("a/two.bin");
    await objects.delete("a/two.bin");
    assert.equal(await keysOf(objects, "a/"), ["a/b/one.bin"]);
    objects.close();
  });

  tests("a large object comes back as it was", async () => {
    const objects = store();
    await objects.open();
    const content = randomBytes(12 * 1024 * 1024);
    await objects.put("large.bin", content);
    const stream = await objects.get("large.bin");
    assert.ok(stream !== null && (await buffer(stream)).equals(content));
    objects.close();
  });

  tests("a key that climbs, hides or is empty is refused", async () => {
    const objects = store();
    for (const key of ["", "/a", "../a", "a/../b", "a//b", ".a", "a b", "a".repeat(600)]) {
      await rejects(() => objects.put(key, Buffer.alloc(1)), "objects.key");
    }
    objects.close();
  });
}

/** `made` gives a store in a bucket of its own, its options changed. */
export function s3Promises(tests: Tests, made: (more?: Partial<S3Options>) => ObjectStore): void {
  tests("an upload that was granted is of these bytes alone, once, and soon", async () => {
    const objects = made();
    await objects.open();
    const content = Buffer.from("sealed bytes");
    const sha256 = createHash("sha256").update(content).digest("hex");
    const wish = { key: "media/a.bin", sha256, bytes: content.length, expiresInS: 60 };
    const upload = async (body: Buffer, w = wish, change = {}): Promise<number> => {
      const grant = await objects.grantPut(w);
      if (grant === null) throw new Error("S3 grants");
      const { "content-length": _, ...headers } = grant.headers;
      const init = {
        method: "PUT",
        headers: { ...headers, ...change },
        body: new Uint8Array(body),
      };
      const response = await fetch(grant.url, init);
      await response.arrayBuffer();
      return response.status;
    };
    assert.is(await upload(Buffer.from("sealed bytes and more")), 403, "another length");
    assert.is(await upload(Buffer.from("sealed bytez")), 400, "other bytes");
    const other = { "x-amz-checksum-sha256": Buffer.alloc(32).toString("base64") };
    assert.is(await upload(content, wish, other), 403, "another checksum");
    assert.is(await upload(content), 200);
    assert.is(await upload(content), 412, "a second time");
    assert.is(await contentOf(objects, "media/a.bin"), "sealed bytes");
    const grant = await objects.grantPut(wish);
    assert.not.match(JSON.stringify(grant), "test-secret");
    objects.close();
  });

  tests("a wrong password, and a server that is away, are told apart", async () => {
    const wrong = made({ secretAccessKey: "not-it" });
    const denied = await rejects(() => wrong.open(), "objects.denied");
    assert.not.match(`${denied.message} ${denied.hint}`, "not-it");
    const unreachable = made({ endpoint: `http://127.0.0.1:${await freePort()}` });
    const gone = await rejects(() => unreachable.head("a"), "objects.unreachable");
    assert.is(gone.remedy, "retry");
    for (const each of [wrong, unreachable]) each.close();
  });
}

async function contentOf(store: ObjectStore, key: string): Promise<string | null> {
  const stream = await store.get(key);
  return stream === null ? null : (await buffer(stream)).toString();
}

export async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}
