import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as assert from "uvu/assert";
import { createDatabase, type Database } from "../../../cloud-sync/postgres/database.ts";
import { migrate, migrateDown } from "../../../cloud-sync/postgres/migrate.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const migrating = suite("migrations of central");

/** A database with migrations of its own, so that there can be a next version. */
class Versions {
  readonly #temp = tempFolder("cloud-migrate");
  readonly #folder = join(this.#temp.path, "migrations");
  readonly url: string;
  readonly database: Database;

  constructor(server: PostgresServer) {
    mkdirSync(this.#folder);
    this.url = server.freshDatabase();
    this.database = this.connect();
    this.add(1, "CREATE TABLE facts (a text)", "DROP TABLE facts");
  }

  connect(): Database {
    return createDatabase({ url: this.url, logger: silentLogger, random: () => 0.5 });
  }

  add(number: number, up: string, down: string): void {
    const file = join(this.#folder, `${String(number).padStart(4, "0")}-step`);
    writeFileSync(`${file}.sql`, `${up};\n`);
    writeFileSync(`${file}.down.sql`, `${down};\n`);
  }

  up(database = this.database): Promise<void> {
    return migrate(database, pathToFileURL(`${this.#folder}/`));
  }

  down(number: number): Promise<void> {
    return migrateDown(this.database, pathToFileURL(`${this.#folder}/`), number);
  }

  /** The names of our tables, without the bookkeeping. */
  async tables(): Promise<unknown> {
    const text = `SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') AS names
                  FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'porchlight_migrations'`;
    const [row] = await this.database.query(text);
    return row;
  }

  async remove(): Promise<void> {
    await this.database.close();
    this.#temp.remove();
  }
}

if (needsPostgres()) {
  let server: PostgresServer;
  migrating.before(async () => {
    server = await startPostgres();
  });
  migrating.after(() => server.stop());

  migrating("go up and down, and up again", async () => {
    const at = new Versions(server);
    await at.up();
    at.add(2, "CREATE TABLE more (b text)", "DROP TABLE more");
    await at.up();
    await at.up();
    assert.equal(await at.tables(), { names: "facts more" });
    await at.down(1);
    assert.equal(await at.tables(), { names: "facts" });
    await at.down(0);
    assert.equal(await at.tables(), { names: "" });
    await at.up();
    assert.equal(await at.tables(), { names: "facts more" });
    await at.remove();
  });

  migrating("a step that fails leaves nothing of itself, and the steps before it", async () => {
    const at = new Versions(server);
    at.add(2, "CREATE TABLE more (b text); SELECT nonsense", "DROP TABLE more");
    await at.up().then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /nonsense/),
    );
    assert.equal(await at.tables(), { names: "facts" });
    at.add(2, "CREATE TABLE more (b text)", "DROP TABLE more");
    await at.up();
    assert.equal(await at.tables(), { names: "facts more" });
    await at.remove();
  });

  migrating("an edited migration is refused", async () => {
    const at = new Versions(server);
    await at.up();
    at.add(1, "CREATE TABLE facts (a text, b text)", "DROP TABLE facts");
    const error = await rejects(() => at.up(), "store.schema.changed");
    assert.match(error.message, /migration 1 \(step\) of the database 127\.0\.0\.1/);
    await at.remove();
  });

  migrating("older code runs on a newer schema, unless a change was breaking", async () => {
    const older = new Versions(server);
    await older.up();
    const newer = "INSERT INTO porchlight_migrations VALUES ($1, 'newer', '', $2)";
    await older.database.query(newer, [2, false]);
    await older.up();
    await older.database.query(newer, [3, true]);
    const error = await rejects(() => older.up(), "store.schema.newer");
    assert.match(error.hint ?? "", /install that version again/);
    await older.remove();
  });

  migrating("are done once when ten instances start at once, and none of them fails", async () => {
    const at = new Versions(server);
    at.add(2, "INSERT INTO facts VALUES ('once')", "DELETE FROM facts");
    const instances = Array.from({ length: 10 }, () => at.connect());
    await Promise.all(instances.map((instance) => at.up(instance)));
    assert.equal(await at.database.query("SELECT a FROM facts"), [{ a: "once" }]);
    await Promise.all(instances.map((instance) => instance.close()));
    await at.remove();
  });
}

migrating.run();
