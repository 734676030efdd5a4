import { randomUUID } from "node:crypto";
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { z } from "zod";
import { type ReadyCentre, runCentre } from "../../cloud-sync/centre.ts";
import { type CloudConfig, cloudConfigSchema } from "../../cloud-sync/config/schema.ts";
import { createKeyring, type Keyring } from "../../cloud-sync/keyring/keyring.ts";
import { openSiteKey } from "../../cloud-sync/keyring/site-key.ts";
import type { Database } from "../../cloud-sync/postgres/database.ts";
import { openDatabase } from "../../cloud-sync/postgres/open.ts";
import { namesOf, personKey } from "../../cloud-sync/queries/people.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { createLogger, silentLogger } from "../../shared/core/logger.ts";
import { PERSONAL_CLASSES } from "../../shared/log/entry.ts";
import { AgentDevice } from "../support/agent.ts";
import { filesIn } from "../support/bytes.ts";
import { tracesIn } from "../support/canary.ts";
import { CANARY_NAME, canaryFace, enrolled, erased, PACK, template } from "../support/facts.ts";
import { needsMosquitto, startMosquitto } from "../support/mosquitto.ts";
import { needsPostgres, startPostgres } from "../support/postgres.ts";
import { release } from "../support/released.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { until } from "../support/until.ts";

const story = suite("what an owner releases to a site");

/** A centre that runs, and a look into its database from beside. */
class Centre {
  readonly said: string[] = [];
  readonly #config: CloudConfig;
  readonly #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  #ready: ReadyCentre | undefined;
  #attached: { readonly database: Database; close(): Promise<void> } | undefined;

  constructor(config: CloudConfig) {
    this.#config = config;
  }

  async start(): Promise<void> {
    const write = (line: string): void => void this.said.push(line);
    const logger = createLogger({ level: "debug", now: () => 0, write });
    const about = { clock: systemClock, random: Math.random, newId: randomUUID, logger };
    this.#ready = await new Promise<ReadyCentre>((done, failed) => {
      this.#ended = runCentre({ config: this.#config, ...about }, done, this.#stop.signal);
      this.#ended.catch(failed);
    });
    const options = { logger: silentLogger, random: Math.random, failed: () => undefined };
    const { signal } = this.#stop;
    this.#attached = await openDatabase(this.#config, { ...options, attach: true }, signal);
  }

  get ready(): ReadyCentre {
    assert.ok(this.#ready);
    return this.#ready;
  }

  get database(): Database {
    assert.ok(this.#attached);
    return this.#attached.database;
  }

  async publicKey(): Promise<Buffer> {
    return (await openSiteKey(this.#config, this.database)).publicKey;
  }

  async keyring(): Promise<Keyring> {
    const { database } = this;
    return createKeyring({ database, site: await openSiteKey(this.#config, database) });
  }

  async name(device: string, person: string): Promise<string | null> {
    const { open } = await this.keyring();
    return (
      (await namesOf({ database: this.database, open }, [{ device, person }])).get(
        personKey({ device, person }),
      ) ?? null
    );
  }

  async nearest(): Promise<string | null> {
    return (await this.ready.faces?.nearest(canaryFace(), PACK, 1))?.[0]?.subject ?? null;
  }

  async settled(device: AgentDevice): Promise<void> {
    await until("everything is acknowledged", () => device.lag() === 0);
    const last = (await this.ready.log.readAfter(0n, 10_000)).at(-1)?.position;
    await until("everything is projected", () =>
      this.ready.sinks.stats().every(({ position }) => position === last),
    );
  }

  /** Every row of every table, and everything it said. */
  async everything(): Promise<Buffer> {
    const names = z.array(z.object({ name: z.string() })).parse(
      await this.database.query(
        `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
           WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
      ),
    );
    const rows = z.array(z.object({ row: z.string() }));
    const all = [...this.said];
    for (const { name } of names) {
      const found = rows.parse(await this.database.query(`SELECT t::text AS row FROM ${name} t`));
      all.push(...found.map(({ row }) => row));
    }
    const folder = join(this.#config.data, "objects");
    const objects: ReadonlyMap<string, Buffer> = existsSync(folder) ? filesIn(folder) : new Map();
    return Buffer.concat([Buffer.from(all.join("\n")), ...objects.values()]);
  }

  async stop(): Promise<void> {
    await this.#attached?.close();
    this.#stop.abort();
    await this.#ended;
  }
}

interface Rig {
  readonly centre: Centre;
  stop(): Promise<void>;
}

async function ownServers(): Promise<Rig> {
  const temp = tempFolder("release");
  chmodSync(temp.path, 0o755);
  const config = { data: temp.path, broker: { port: 0 }, http: { port: 0 } };
  const centre = new Centre(cloudConfigSchema.parse(config));
  await centre.start();
  return {
    centre,
    async stop() {
      await centre.stop();
      temp.remove();
    },
  };
}

async function otherServers(): Promise<Rig> {
  const temp = tempFolder("release");
  const [broker, server] = [await startMosquitto(), await startPostgres()];
  const database = { url: server.freshDatabase() };
  const config = { data: temp.path, mqtt: { url: broker.url }, http: { port: 0 }, database };
  const centre = new Centre(cloudConfigSchema.parse(config));
  await centre.start();
  return {
    centre,
    async stop() {
      await centre.stop();
      await broker.stop();
      await server.stop();
      temp.remove();
    },
  };
}

function tells(name: string, start: () => Promise<Rig>): void {
  story(
    `${name}: opens nothing before, that alone after, and nothing when it is taken back`,
    async () => {
      const rig = await start();
      const { centre } = rig;
      const device = new AgentDevice(3);
      const { store } = device.at;
      const person = randomUUID();
      store.append([enrolled(person, CANARY_NAME), template(person, canaryFace())]);
      const password = await centre.ready.devices.add(device.id);
      device.start({ url: centre.ready.addresses.mqtt, username: device.id, password });
      await centre.settled(device);
      assert.equal([await centre.name(device.id, person), await centre.nearest()], [null, null]);
      const sealed = await centre.everything();
      assert.ok(sealed.includes(person), "the search works: pseudonyms are there");
      assert.equal(tracesIn(sealed), []);

      const publicKey = await centre.publicKey();
      await release(store, device.id, ["biometric"], publicKey);
      await until("the face is found", async () => (await centre.nearest()) === person);
      assert.is(await centre.name(device.id, person), null, "the name was not released");
      await release(store, device.id, ["biometric", "profile"], publicKey);
      await until(
        "the name is known",
        async () => (await centre.name(device.id, person)) === CANARY_NAME,
      );
      await release(store, device.id, ["profile"], publicKey);
      await until("the face is gone", async () => (await centre.nearest()) === null);
      assert.is(await centre.name(device.id, person), CANARY_NAME);
      await release(store, device.id, PERSONAL_CLASSES, publicKey);
      await until("it is there again", async () => (await centre.nearest()) === person);

      await device.stop();
      const before = await centre.database.query("SELECT * FROM released_keys");
      assert.is(before.length, 2);
      store.append([erased(person)]);
      device.start({ url: centre.ready.addresses.mqtt, username: device.id, password });
      await centre.settled(device);
      await until("the face is gone", async () => (await centre.nearest()) === null);
      assert.is(await centre.name(device.id, person), null);
      await until(
        "the keys are gone",
        async () => (await (await centre.keyring()).count()).length === 0,
      );
      assert.equal(tracesIn(await centre.everything()), []);
      await device.remove();
      await rig.stop();
    },
  );
}

tells("on servers of its own", ownServers);
if (needsMosquitto() && needsPostgres()) tells("over Mosquitto and PostgreSQL", otherServers);

story.run();
