import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { loadConfig } from "../../../cloud-sync/config/load.ts";
import type { CloudConfig } from "../../../cloud-sync/config/schema.ts";
import { openObjects } from "../../../cloud-sync/objects/open.ts";
import { openDatabase } from "../../../cloud-sync/postgres/open.ts";
import { loadConfig as loadDevice } from "../../../edge/config/load.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { needsPostgres, startPostgres } from "../../support/postgres.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const configuring = suite("the configuration of the centre");

function load(text: string, environment: Record<string, string> = {}): CloudConfig {
  const temp = tempFolder("cloud-config");
  const file = join(temp.path, "cloud.yaml");
  writeFileSync(file, text);
  try {
    return loadConfig({ file, data: undefined, environment });
  } finally {
    temp.remove();
  }
}

configuring("without a line in it, everything has a default", () => {
  const { data, database, log } = load("");
  assert.equal({ data, log }, { data: "./data", log: { level: "info" } });
  assert.equal(database, { connections: 10, statementTimeoutS: 30 });
});

configuring("a variable overrides a line, and --data both", () => {
  const environment = { PORCHLIGHT_CLOUD_DATABASE_CONNECTIONS: "5", PORCHLIGHT_CLOUD_CONFIG: "x" };
  assert.is(load("database: {connections: 20}", environment).database.connections, 5);
  const file = undefined;
  const none = { PORCHLIGHT_CLOUD_DATA: "/var" };
  assert.is(loadConfig({ file, data: "/srv", environment: none }).data, "/srv");
});

configuring(
  "mistakes are named with their line, and with this program's next command",
  async () => {
    const text = "database:\n  url: mysql://x/y\n  conections: 3\n";
    const error = await rejects(() => load(text), "config.invalid");
    assert.match(error.message, /line 2: database\.url: a database is named as postgres:/);
    assert.match(error.message, /line 3: database\.conections .* did you mean connections/);
    assert.match(error.hint ?? "", /porchlight-cloud config schema/);
    const missing = { file: "/nowhere/cloud.yaml", data: undefined, environment: {} };
    await rejects(() => loadConfig(missing), "config.missing");
  },
);

configuring("stores are named whole, and without a secret in a URL", async () => {
  const wrong = [
    ["objects: {folder: /srv, url: 'https://s3'}", /either a folder or a url/],
    ["objects: {url: 'https://s3', bucket: abc}", /needs bucket, accessKeyId and secretAccessKey/],
    ["objects: {url: 'https://me:secret@s3'}", /ends up in logs/],
    ["influx: {url: 'https://influx', version: 2, database: home}", /needs org and bucket/],
    ["influx: {url: 'https://influx?token=x'}", /ends up in logs/],
    ["metrics: {retention: {rawDays: 300}}", /kept for longer/],
  ] as const;
  for (const [text, message] of wrong) {
    const error = await rejects(() => load(text), "config.invalid");
    assert.match(error.message, message);
    assert.not.match(error.message, /secret@/);
  }
  const folder = openObjects(load("data: /srv"), randomUUID);
  assert.is(folder.place, "/srv/objects");
  const keys = "bucket: home, accessKeyId: a, secretAccessKey: geheim";
  const s3 = openObjects(load(`objects: {url: 'https://s3.example:9000', ${keys}}`), randomUUID);
  assert.is(s3.place, "s3.example:9000/home");
  for (const store of [folder, s3]) store.close();
});

configuring("a device on the same machine is not disturbed by it", () => {
  const environment = { PORCHLIGHT_CLOUD_DATABASE_URL: "postgres://x/y" };
  assert.is(loadDevice({ file: undefined, data: "/srv", environment }).data, "/srv");
});

const OPTIONS = { logger: silentLogger, random: Math.random, failed: () => assert.unreachable() };
const NEVER = new AbortController().signal;

configuring("without a database.url there is one of our own, below the data folder", async () => {
  const temp = tempFolder("cloud-open");
  chmodSync(temp.path, 0o755);
  const config = loadConfig({ file: undefined, data: temp.path, environment: {} });
  const { database, close } = await openDatabase(config, OPTIONS, NEVER);
  assert.equal(await database.query("SELECT 1 AS one"), [{ one: 1 }]);
  assert.ok(existsSync(join(temp.path, "postgres", "data", "PG_VERSION")));
  await close();
  temp.remove();
});

if (needsPostgres()) {
  configuring("with a database.url it is that one, and nothing is made on disk", async () => {
    const server = await startPostgres();
    const temp = tempFolder("cloud-open");
    const environment = { PORCHLIGHT_CLOUD_DATABASE_URL: server.freshDatabase() };
    const config = loadConfig({ file: undefined, data: temp.path, environment });
    const { database, close } = await openDatabase(config, OPTIONS, NEVER);
    const [row] = await database.query("SELECT current_setting('statement_timeout') AS timeout");
    assert.equal(row, { timeout: "30s" });
    await close();
    assert.not.ok(existsSync(join(temp.path, "postgres")));
    await server.stop();
    temp.remove();
  });
}

configuring(
  "with an address that is none is a mistake with its line, whatever is asked of it besides",
  async () => {
    const keys = "bucket: abc, accessKeyId: a, secretAccessKey: s";
    for (const [text, setting] of [
      ["database: {url: nowhere}", "database.url"],
      ["mqtt: {url: nowhere}", "mqtt.url"],
      ["devices: {url: 'mqtt://[', port: 1}", "devices"],
      ["http: {url: nowhere}", "http.url"],
      ["http: {url: 'http://192.0.2.1'}", "http.url"],
      [`objects: {url: nowhere, ${keys}}`, "objects.url"],
      [`objects: {url: 'http://192.0.2.1:9000', ${keys}}`, "objects.publicUrl"],
      [
        `objects: {url: 'http://objects:9000', publicUrl: 'http://x', ${keys}}`,
        "objects.publicUrl",
      ],
      ["influx: {url: nowhere, database: d}", "influx.url"],
      ["database: {url: 'postgres://u@h/db?password=s3cret'}", "database.url"],
    ] as const) {
      const error = await rejects(() => load(text), "config.invalid");
      assert.match(error.message, setting, text);
      assert.not.match(error.message, "s3cret");
    }
  },
);

configuring.run();
