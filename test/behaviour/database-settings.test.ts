import * as assert from "uvu/assert";
import { json } from "../support/cli.ts";
import { rigsFor } from "../support/database-rig.ts";
import { needsPgBouncer, startPgBouncer } from "../support/pgbouncer.ts";
import { needsPostgres } from "../support/postgres.ts";
import { suite } from "../support/suite.ts";
import { until } from "../support/until.ts";

const moods = suite("a centre whose database");

if (needsPostgres() && needsPgBouncer()) {
  const { server, newRig } = rigsFor(moods, "database-settings");

  moods("has settings of its own reads and writes what it always does", async () => {
    const rig = newRig();
    for (const setting of [
      "datestyle = 'German, DMY'",
      "intervalstyle = 'sql_standard'",
      "timezone = 'Pacific/Auckland'",
      "bytea_output = 'escape'",
      "standard_conforming_strings = off",
      "default_transaction_isolation = 'serializable'",
      "search_path = 'nowhere'",
    ]) {
      rig.sql(`ALTER DATABASE ${rig.name} SET ${setting}`);
    }
    const centre = await rig.start();
    await rig.join();
    assert.is((await rig.sync()).code, 0);
    await rig.isSame();
    const listed = await rig.cloud("devices", "list", "--json");
    const [device] = json<{ addedAt: string }[]>(listed);
    assert.ok(Math.abs(Date.parse(device?.addedAt ?? "") - Date.now()) < 600_000);
    assert.is(await centre.stop(), 0, centre.err());
  });

  for (const mode of ["session", "transaction"] as const) {
    moods(`is behind a PgBouncer that pools by ${mode} works whole`, async () => {
      const rig = newRig();
      const pooler = await startPgBouncer(server().port, mode);
      rig.variables = { PORCHLIGHT_CLOUD_DATABASE_URL: pooler.through(rig.url) };
      const centre = await rig.start();
      await rig.join();
      assert.is((await rig.sync()).code, 0);
      await rig.isSame();
      await until("the sinks are level", async () => {
        const states = json<{ lagEntries: number }[]>(await rig.cloud("sinks", "list", "--json"));
        return states.length > 0 && states.every(({ lagEntries }) => lagEntries === 0);
      });
      assert.is(await centre.stop(), 0, centre.err());
      await pooler.stop();
    });
  }

  moods("has another version of the schema: verbs say so and change nothing", async () => {
    const rig = newRig();
    const none = await rig.cloud("visits", "list");
    assert.is(none.code, 1);
    assert.match(none.err, /no tables of porchlight-cloud yet[\s\S]*porchlight-cloud migrate/);
    assert.is((await rig.cloud("migrate")).code, 0);
    const newest = Number(rig.sql("SELECT max(number) FROM porchlight_migrations"));
    // As an older version left it.
    rig.sql(`DELETE FROM porchlight_migrations WHERE number = ${newest}`);
    for (const args of [["status"], ["devices", "list"], ["log", "list"], ["sinks", "list"]]) {
      const older = await rig.cloud(...args);
      assert.is(older.code, 1, args.join(" "));
      assert.match(older.err, `schema version ${newest - 1}, and this program needs ${newest}`);
    }
    assert.is(Number(rig.sql("SELECT max(number) FROM porchlight_migrations")), newest - 1);
  });

  moods(
    "was brought up by the next version serves this one, unless that is said to break it",
    async () => {
      const rig = newRig();
      assert.is((await rig.cloud("migrate")).code, 0);
      const newest = Number(rig.sql("SELECT max(number) FROM porchlight_migrations"));
      rig.sql(
        `INSERT INTO porchlight_migrations VALUES (${newest + 1}, 'of-the-next-version', 'x', false)`,
        "ALTER TABLE event_log ADD COLUMN later text DEFAULT 'x'",
        "ALTER TABLE logs ADD COLUMN later text",
        "ALTER TABLE devices ADD COLUMN later text",
      );
      const centre = await rig.start();
      await rig.join();
      assert.is((await rig.sync()).code, 0, centre.err());
      await rig.isSame();
      assert.is(await centre.stop(), 0);
      rig.sql(
        "UPDATE porchlight_migrations SET breaking = true WHERE name = 'of-the-next-version'",
      );
      const refused = await rig.cloud("start");
      assert.is(refused.code, 1);
      assert.match(refused.err, "was changed by a newer porchlight-cloud");
    },
  );

  moods("is the embedded one is not diverted by the shell's PG* variables", async () => {
    const rig = newRig();
    rig.variables = {
      PGPORT: "5433",
      PGHOST: "192.0.2.1",
      PGSSLMODE: "require",
      PGOPTIONS: "-c datestyle=German",
      PGUSER: "somebody",
      PGDATABASE: "elsewhere",
      PGPASSFILE: "/nowhere",
      PGSERVICE: "none",
    };
    const centre = await rig.start();
    const listed = await rig.cloud("devices", "list", "--json");
    assert.is(listed.code, 0, listed.err);
    assert.is(await centre.stop(), 0);
  });
}

moods.run();
