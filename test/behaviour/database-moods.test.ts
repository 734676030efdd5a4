/** A database in trouble while the centre runs: read-only, locked out, restored. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { porchlight } from "../support/cli.ts";
import type { CentreProcess } from "../support/cloud.ts";
import { rigsFor } from "../support/database-rig.ts";
import { needsPostgres } from "../support/postgres.ts";
import { suite } from "../support/suite.ts";
import { until } from "../support/until.ts";

const moods = suite("a centre whose database");

if (needsPostgres()) {
  const { folder, newRig } = rigsFor(moods, "database-moods");

  async function health(centre: CentreProcess): Promise<Record<string, unknown>> {
    const answer = await fetch(`${centre.ready.http}/health/ready`);
    return (await answer.json()) as Record<string, unknown>;
  }

  moods("becomes read-only waits, says so, and goes on", async () => {
    const rig = newRig();
    const centre = await rig.start();
    await rig.join();
    rig.sql(`ALTER DATABASE ${rig.name} SET default_transaction_read_only = on`);
    rig.disconnect();
    await until("health knows", async () =>
      /read-only/.test(String((await health(centre))["database"])),
    );
    assert.is((await fetch(`${centre.ready.http}/health/ready`)).status, 503);
    const syncing = rig.sync();
    await until("ingest has met it", () => centre.err().includes("database.read-only"));
    rig.sql(
      "BEGIN READ WRITE",
      `ALTER DATABASE ${rig.name} SET default_transaction_read_only = off`,
      "COMMIT",
    );
    rig.disconnect();
    assert.is((await syncing).code, 0);
    await rig.isSame();
    assert.is((await health(centre))["ready"], true);
    assert.is(await centre.stop(), 0, centre.err());
    assert.not.match(centre.err(), / {4}at /, "no stack trace");
  });

  moods("changes its password is reached again with the new one, without a restart", async () => {
    const rig = newRig();
    const password = join(folder, "password");
    const keep = (text: string): void => writeFileSync(password, `${text}\n`, { mode: 0o600 });
    keep("first # one");
    rig.sql(
      `CREATE ROLE rotating LOGIN PASSWORD 'first # one'`,
      `GRANT CREATE ON DATABASE ${rig.name} TO rotating`,
      "GRANT USAGE, CREATE ON SCHEMA public TO rotating",
    );
    // Of this role alone a password is wanted.
    const rules = rig.sql("SHOW hba_file").trim();
    const before = rig.sql(`SELECT pg_read_file('${rules}')`);
    const rule = (method: string): string => `host all rotating 127.0.0.1/32 ${method}\n`;
    writeFileSync(rules, `${rule("scram-sha-256")}${before}`);
    rig.sql("SELECT pg_reload_conf()");
    const url = new URL(rig.url);
    url.username = "rotating";
    rig.variables = {
      PORCHLIGHT_CLOUD_DATABASE_URL: url.href,
      PORCHLIGHT_CLOUD_DATABASE_PASSWORD_FILE: password,
    };
    const centre = await rig.start();
    await rig.join();
    rig.sql("ALTER ROLE rotating PASSWORD 'second'");
    rig.disconnect();
    await until("it is refused", () => centre.err().includes("database.denied"));
    keep("second");
    assert.is((await rig.sync()).code, 0, centre.err());
    await rig.isSame();
    assert.is(await centre.stop(), 0);
    assert.not.match(centre.err(), /first # one|second/);
  });

  moods("withholds rights says which, and how they are granted", async () => {
    const rig = newRig();
    rig.sql("CREATE ROLE poor LOGIN");
    const url = new URL(rig.url);
    url.username = "poor";
    rig.variables = { PORCHLIGHT_CLOUD_DATABASE_URL: url.href };
    const refused = await rig.cloud("migrate");
    assert.is(refused.code, 1);
    assert.match(refused.err, "permission denied for schema public");
    assert.match(refused.err, "GRANT USAGE, CREATE ON SCHEMA public");
    assert.not.match(refused.err, / {4}at /, "no stack trace");
    rig.sql("GRANT USAGE, CREATE ON SCHEMA public TO poor");
    assert.is((await rig.cloud("migrate")).code, 0);
    const centre = await rig.start();
    await until("a sink has no schema", () => /GRANT CREATE ON DATABASE/.test(centre.err()));
    rig.sql(`GRANT CREATE ON DATABASE ${rig.name} TO poor`);
    assert.is(await centre.stop(), 0);
  });

  moods("is restored under it waits for its tables, and makes none meanwhile", async () => {
    const rig = newRig();
    const centre = await rig.start();
    await rig.join();
    assert.is((await rig.sync()).code, 0);
    const dump = join(folder, "dump.sql");
    const parts = ["pre-data", "data", "post-data"].map((part) => `${dump}.${part}`);
    for (const part of parts) {
      rig.run("pg_dump", `--section=${part.split(".").at(-1)}`, "-f", part, rig.name);
    }
    const load = (part = ""): string =>
      rig.run("psql", "-qv", "ON_ERROR_STOP=1", "-d", rig.name, "-f", part);
    const schemas = rig.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'porchlight%'");
    rig.sql(
      "SET client_min_messages = error",
      ...schemas
        .split("\n")
        .filter(Boolean)
        .map((name) => `DROP SCHEMA ${name} CASCADE`),
      "DROP SCHEMA public CASCADE",
      "CREATE SCHEMA public",
    );
    const rung = await porchlight(["ring", ...rig.door]);
    assert.is(rung.code, 0, rung.err);
    const syncing = rig.sync();
    await until("health knows", async () => (await health(centre))["ready"] === false);
    await until("ingest has met it", () => centre.err().includes("database.schema.missing"));
    const made = rig.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'porchlight%'");
    assert.is(made.trim(), "0");
    const [tables, rows, indexes] = parts;
    load(tables);
    const waitsOn = centre.err().length;
    await until("it meets empty tables", () => centre.err().length > waitsOn + 1_000);
    assert.is(rig.sql("SELECT count(*) FROM event_log").trim(), "0", "nothing is in the way");
    load(rows);
    load(indexes);
    rig.disconnect();
    assert.is((await syncing).code, 0, centre.err());
    await rig.isSame();
    assert.is(await centre.stop(), 0);
  });
}

moods.run();
