import { createHash, randomBytes, randomUUID } from "node:crypto";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import type { UploadGrant } from "../../cloud-sync/objects/object-store.ts";
import { createPut } from "../../edge/sync/put.ts";
import type { suite } from "./suite.ts";
import type { UploadPlace } from "./upload-places.ts";

const put = createPut({ ca: undefined, local: true });
const never = new AbortController().signal;

/** What every place promises where devices bring objects. */
export function uploadPromises(
  tests: ReturnType<typeof suite>,
  start: () => Promise<UploadPlace>,
): void {
  let place: UploadPlace;
  tests.before(async () => {
    place = await start();
  });
  tests.after(() => place.stop());

  tests("what was granted is there byte for byte, and a second upload is refused", async () => {
    const content = randomBytes(300_000);
    const wish = wishFor(content);
    const grant = await grantOf(place, wish);
    assert.ok([200, 201].includes((await statusOf(grant, content)) ?? 0));
    const stream = await place.objects.get(wish.key);
    assert.ok(stream !== null && (await buffer(stream)).equals(content));
    assert.is(await statusOf(grant, content), 412, "the same grant");
    assert.is(await statusOf(await grantOf(place, wish), content), 412, "another grant");
  });

  tests(
    "other bytes, another length and another place are refused, and leave nothing",
    async () => {
      const content = randomBytes(70_000);
      const wish = wishFor(content);
      const grant = await grantOf(place, wish);
      const refused = async (what: string, changed: UploadGrant, body: Buffer): Promise<void> => {
        assert.ok([400, 403, null].includes(await statusOf(changed, body)), what);
        assert.is(await place.objects.head(wish.key), null, what);
      };
      const other = Buffer.from(content);
      other[69_999] = (other[69_999] ?? 0) ^ 1;
      await refused("other bytes", grant, other);
      const longer = Buffer.concat([content, Buffer.alloc(1)]);
      const length = { ...grant.headers, "content-length": String(longer.length) };
      await refused("longer", { ...grant, headers: length }, longer);
      const shorter = { ...grant.headers, "content-length": "69999" };
      await refused("shorter", { ...grant, headers: shorter }, content.subarray(0, 69_999));
      const elsewhere = wish.key.replace(/^media\/.*\//, `media/${randomUUID()}/`);
      const url = grant.url.replace(wish.key, elsewhere);
      await refused("another place", { ...grant, url }, content);
      assert.is(await place.objects.head(elsewhere), null);
      assert.ok([200, 201].includes((await statusOf(grant, content)) ?? 0), "the grant was good");
    },
  );

  tests("an upload that is cut in the middle leaves nothing, and is done again", async () => {
    const content = randomBytes(2_000_000);
    const wish = wishFor(content);
    const { url, headers } = await grantOf(place, wish);
    const { hostname, port, pathname, search, host } = new URL(url);
    const socket = connect(Number(port), hostname);
    const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}`);
    socket.write(`PUT ${pathname}${search} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    socket.write(content.subarray(0, 700_000));
    await sleep(200);
    socket.destroy();
    await sleep(200);
    assert.is(await place.objects.head(wish.key), null);
    assert.ok([200, 201].includes((await statusOf({ url, headers }, content)) ?? 0));
    assert.is((await place.objects.head(wish.key))?.bytes, content.length);
  });

  tests("a grant that is over is refused", async () => {
    const content = randomBytes(1_000);
    const wish = wishFor(content, 1);
    const grant = await grantOf(place, wish);
    await sleep(2_100);
    assert.is(await statusOf(grant, content), 403);
    assert.is(await place.objects.head(wish.key), null);
  });
}

/** The status, or null where the connection broke off instead. */
export async function statusOf(
  { url, headers }: UploadGrant,
  body: Buffer,
): Promise<number | null> {
  const answer = await put({ url, headers }, body, never).catch(() => null);
  return answer?.status ?? null;
}

export function wishFor(content: Buffer, expiresInS = 60) {
  const sha256 = createHash("sha256").update(content).digest("hex");
  const key = `media/${randomUUID()}/${sha256}`;
  return { key, sha256, bytes: content.length, expiresInS };
}

export async function grantOf(
  place: UploadPlace,
  wish: ReturnType<typeof wishFor>,
): Promise<UploadGrant> {
  const grant = await place.objects.grantPut(wish);
  if (grant === null) throw new Error("this place grants");
  return grant;
}
