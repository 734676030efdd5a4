import { randomBytes, randomUUID } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import {
  createKeyring,
  type Keyring,
  type ReleasedKey,
} from "../../../cloud-sync/keyring/keyring.ts";
import { createKeyReceiver } from "../../../cloud-sync/keyring/receive-keys.ts";
import {
  findSiteKey,
  openSiteKey,
  renewSiteKey,
  siteKeyFile,
} from "../../../cloud-sync/keyring/site-key.ts";
import { createKeyErasure } from "../../../cloud-sync/sinks/key-erasure/sink.ts";
import { createLogOwners } from "../../../cloud-sync/sinks/support/device-of-log.ts";
import type { PersonalClass } from "../../../shared/log/entry.ts";
import { type SealPlace, seal } from "../../../shared/log/seal.ts";
import { siteIdOf } from "../../../shared/log/site-key.ts";
import { wrapKey } from "../../../shared/log/wrap.ts";
import {
  decodeMessage,
  encodeMessage,
  keysAckSchema,
  keysSchema,
} from "../../../shared/protocol/wire.ts";
import { Central, Device } from "../../support/central.ts";
import { DirectProjection } from "../../support/direct-projection.ts";
import { startFast } from "../../support/engines.ts";
import { keepingLogger } from "../../support/ingest.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { rejects } from "../../support/rejects.ts";
import { newSite } from "../../support/released.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const keyrings = suite("the keyring of the centre");
const central = new Central(startFast);
const site = newSite();
const siteId = siteIdOf(site.publicKey);

/** A device whose log is here, and a key of one of its subjects. */
class Door extends Device {
  readonly subject = randomUUID();
  readonly key = randomBytes(32);

  async released(
    number: number,
    more: { device?: string; class?: PersonalClass; site?: Buffer } = {},
  ): Promise<ReleasedKey> {
    const { device = this.device, class: of = "profile" } = more;
    const place = { device, subject: this.subject, class: of };
    const wrapped = await wrapKey(more.site ?? site.publicKey, place, this.key);
    return { subject: this.subject, class: of, number, wrapped: wrapped.toString("base64") };
  }

  sealed(log = this.log, plain = "a name"): readonly [SealPlace, string] {
    const { subject } = this;
    const place = { log, seq: 2, type: "person.enrolled", subject, class: "profile" } as const;
    return [place, seal(this.key, place, Buffer.from(plain))];
  }
}

async function door(): Promise<Door> {
  const made = new Door(3);
  assert.equal(await central.kinds(made.arrival()), ["appended"]);
  return made;
}

const opens = async (keyring: Keyring, [place, sealed]: readonly [SealPlace, string]) =>
  (await keyring.open(place, sealed))?.toString("utf8") ?? null;

if (needsPostgres()) {
  keyrings.before.each(() => central.begin());
  keyrings.after.each(() => central.end());
  keyrings.after(() => central.stop());

  keyrings("opens what was released, with the site's key, and nothing without it", async () => {
    const { database } = central;
    const a = await door();
    const keyring = createKeyring({ database, site });
    assert.is(await opens(keyring, a.sealed()), null);
    assert.ok(await keyring.keep(a.device, siteId, [await a.released(1)]));
    assert.is(await opens(keyring, a.sealed()), "a name");
    for (const other of [null, { ...site, privateKey: null }, newSite()]) {
      assert.is(await opens(createKeyring({ database, site: other }), a.sealed()), null);
    }
  });

  keyrings("a device's key opens entries of its own logs alone", async () => {
    const { database } = central;
    const [a, b] = [await door(), await door()];
    const keyring = createKeyring({ database, site });
    await keyring.keep(a.device, siteId, [await a.released(1)]);
    assert.is(await opens(keyring, a.sealed(b.log)), null);
    // Wrapped by A for B, and told by B.
    await keyring.keep(b.device, siteId, [await a.released(1)]);
    assert.is(await opens(keyring, a.sealed(b.log)), null);
  });

  keyrings("the last word counts, in whatever order they come", async () => {
    const { database } = central;
    const a = await door();
    const keyring = createKeyring({ database, site });
    const [early, late] = [await a.released(1), { ...(await a.released(3)), wrapped: null }];
    await keyring.keep(a.device, siteId, [late]);
    await keyring.keep(a.device, siteId, [early]);
    assert.is(await opens(keyring, a.sealed()), null);
    await keyring.keep(a.device, siteId, [await a.released(4)]);
    await keyring.keep(a.device, siteId, [late]);
    assert.is(await opens(keyring, a.sealed()), "a name");
    assert.equal(await keyring.count(), [{ device: a.device, class: "profile", held: 1 }]);
    assert.is(await keyring.forget(a.device), 1);
    assert.is(await opens(keyring, a.sealed()), null);
  });

  keyrings(
    "without room for rows a device has no new ones, and takes back what is here",
    async () => {
      const { database } = central;
      const a = await door();
      const keyring = createKeyring({ database, site });
      const released = await a.released(1);
      assert.ok(await keyring.keep(a.device, siteId, [released]));
      await database.query(
        `INSERT INTO released_keys (device, subject, class, number, site, wrapped, changed)
       SELECT $1, gen_random_uuid(), 'profile', 1, sha256('x'), NULL, i FROM generate_series(1, 499999) i`,
        [a.device],
      );
      const rows = async () =>
        (
          await database.query("SELECT count(*) AS rows FROM released_keys WHERE device = $1", [
            a.device,
          ])
        )[0];
      const words = Array.from({ length: 100 }, () => ({
        ...{ ...released, subject: randomUUID(), number: 9, wrapped: null },
      }));
      const full = createKeyring({ database, site });
      assert.ok(await full.keep(a.device, siteId, words), "they take nothing back");
      assert.not(await full.keep(a.device, siteId, [{ ...released, subject: randomUUID() }]));
      assert.equal(await rows(), { rows: 500_000n });
      assert.ok(await full.keep(a.device, siteId, [{ ...released, number: 2, wrapped: null }]));
      assert.is(await opens(full, a.sealed()), null);
      const b = await door();
      assert.ok(await full.keep(b.device, siteId, [await b.released(1)]), "another has room");
    },
  );

  keyrings("who was erased has no key any more, and never gets one again", async () => {
    const { database } = central;
    const [a, b] = [await door(), await door()];
    const keyring = createKeyring({ database, site });
    await keyring.keep(a.device, siteId, [await a.released(1)]);
    const devicesOf = createLogOwners(database);
    const erasures = new DirectProjection(database, createKeyErasure({ keyring, devicesOf }));
    const [entry] = await central.log.readAfter(0n, 1);
    assert.ok(entry);
    const erased = { ...entry, type: "person.erased", subject: a.subject };
    // Another device cannot take it away.
    await erasures.write([{ ...erased, log: b.log }]);
    assert.is(await opens(keyring, a.sealed()), "a name");
    await erasures.write([{ ...erased, log: a.log }]);
    await erasures.write([{ ...erased, log: a.log }]);
    assert.is(await opens(keyring, a.sealed()), null);
    await keyring.keep(a.device, siteId, [await a.released(9)]);
    assert.is(await opens(keyring, a.sealed()), null);
    assert.equal(await keyring.count(), []);
  });

  keyrings("changes are told in the order of commits, also by several at once", async () => {
    const { database } = central;
    const doors = await Promise.all(Array.from({ length: 4 }, door));
    const keyring = createKeyring({ database, site });
    const seen = new Set<string>();
    let after = 0n;
    const follow = async (): Promise<void> => {
      for (const { subject, changed } of await keyring.changes("biometric", after, 2)) {
        seen.add(subject);
        after = changed;
      }
    };
    const keys = await Promise.all(
      doors.map(async (each) => [each, await each.released(1, { class: "biometric" })] as const),
    );
    const kept = Promise.all(keys.map(([{ device }, key]) => keyring.keep(device, siteId, [key])));
    for (let look = 0; look < 20; look++) await follow();
    await kept;
    for (let look = 0; look < 3; look++) await follow();
    assert.equal([...seen].sort(), doors.map(({ subject }) => subject).sort());
  });

  keyrings(
    "answers after the commit, refuses what does not open, and never falls over",
    async () => {
      const { database } = central;
      const [a, b] = [await door(), await door()];
      const keyring = createKeyring({ database, site });
      const answers: unknown[] = [];
      const logged = keepingLogger();
      const receiver = createKeyReceiver({
        keyring,
        site,
        publish: ({ device, channel }, payload) => {
          const { refused = null } = decodeMessage(keysAckSchema, payload);
          answers.push([device, channel, refused]);
        },
        logger: logged.logger,
      });
      const stop = new AbortController();
      const ended = receiver.run(stop.signal);
      const say = (device: string, keys: readonly ReleasedKey[], of = siteId): void =>
        receiver.hear(device, encodeMessage(keysSchema, { site: of, keys: [...keys] }));
      say(a.device, [await a.released(1)]);
      await until("it is answered", () => answers.length === 1);
      assert.is(await opens(keyring, a.sealed()), "a name");
      // A says that it has a key of B's, and passes on what B has told.
      say(a.device, [await b.released(1, { device: b.device })]);
      await until("it is answered", () => answers.length === 2);
      say(b.device, [await b.released(1)], siteIdOf(newSite().publicKey));
      await until("it is answered", () => answers.length === 3);
      const twice = JSON.stringify({
        site: siteId,
        keys: [await a.released(5), await a.released(6)],
      });
      for (const text of ["", "{}", "\u0000", twice, `{"site":"${siteId}","keys":[]}`]) {
        receiver.hear(a.device, Buffer.from(text));
      }
      receiver.hear(a.device, randomBytes(100_000));
      assert.equal(answers, [
        [a.device, "keys/ack", null],
        [a.device, "keys/ack", null],
        [b.device, "keys/ack", "site"],
      ]);
      assert.equal(receiver.stats(), { kept: 1, refused: 1, dropped: 7 });
      assert.equal(await keyring.count(), [{ device: a.device, class: "profile", held: 1 }]);
      assert.not.match(logged.lines.join(), /wrapped"|[A-Za-z0-9+/]{80}/);
      stop.abort();
      await ended;
    },
  );

  keyrings("the first instance makes the site's key, the others must have the same", async () => {
    const { database } = central;
    const [first, second] = [tempFolder("site"), tempFolder("site")];
    const at = (data: string) => ({ data, site: {} });
    assert.is(await findSiteKey(at(first.path), database), null);
    const made = await openSiteKey(at(first.path), database);
    const file = siteKeyFile(at(first.path));
    assert.is(statSync(file).mode & 0o777, 0o600);
    assert.equal(await openSiteKey(at(first.path), database), made);
    const without = await openSiteKey(at(second.path), database);
    assert.equal([without.publicKey, without.privateKey], [made.publicKey, null]);
    assert.not.ok(existsSync(siteKeyFile(at(second.path))));
    const shared = { data: second.path, site: { key: file } };
    assert.equal(await openSiteKey(shared, database), made);
    const rows = JSON.stringify(await database.query("SELECT site_key::text AS row FROM site_key"));
    assert.not.match(rows, made.privateKey?.toString("hex") ?? "");
    const a = await door();
    const keyring = createKeyring({ database, site: made });
    await keyring.keep(a.device, siteIdOf(made.publicKey), [
      await a.released(1, { site: made.publicKey }),
    ]);
    assert.is(await opens(keyring, a.sealed()), "a name");
    const credentials = join(second.path, "credentials");
    mkdirSync(credentials);
    copyFileSync(file, join(credentials, "site-key"));
    chmodSync(join(credentials, "site-key"), 0o444);
    const placed = { ...at(second.path), credentialsDirectory: credentials };
    assert.equal(await openSiteKey(placed, database), made, "systemd's credential comes first");
    chmodSync(file, 0o640);
    await rejects(() => openSiteKey(at(first.path), database), "site.key.exposed");
    chmodSync(file, 0o600);
    const renewed = await renewSiteKey(at(second.path), database);
    assert.equal(await openSiteKey(at(second.path), database), renewed);
    await rejects(() => openSiteKey(at(first.path), database), "site.key.other");
    assert.is(await opens(keyring, a.sealed()), null);
    assert.equal(await keyring.count(), []);
    first.remove();
    second.remove();
  });
}

keyrings.run();
