import * as assert from "uvu/assert";
import { createDatabase, type Database } from "../../../cloud-sync/postgres/database.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { freePort } from "../../support/port.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { until } from "../../support/until.ts";

const database = suite("database");

function open(url: string, more: { statementTimeoutMs?: number; connectionsMax?: number } = {}) {
  return createDatabase({ url, logger: silentLogger, random: () => 0.5, ...more });
}

if (needsPostgres()) {
  let server: PostgresServer;
  let url: string;
  let db: Database;
  database.before(async () => {
    server = await startPostgres();
    url = server.freshDatabase();
    db = open(url);
    await db.query("CREATE TABLE facts (id bigint PRIMARY KEY, fact text)");
  });
  database.before.each(async () => {
    await db.query("TRUNCATE facts");
  });
  database.after(async () => {
    await db.close();
    await db.close();
    await server.stop();
  });
  const facts = async (): Promise<readonly unknown[]> =>
    db.query("SELECT id, fact FROM facts ORDER BY id");

  database("gives an int8 as a bigint, beyond what a number holds", async () => {
    const [row] = await db.query("SELECT 9007199254740993::bigint AS position");
    assert.equal(row, { position: 9007199254740993n });
  });

  database("a transaction is kept whole or not at all", async () => {
    await db.transaction((connection) => connection.query("INSERT INTO facts VALUES (1, 'kept')"));
    const broken = db.transaction(async (connection) => {
      await connection.query("INSERT INTO facts VALUES (2, 'lost')");
      throw new Error("on the way");
    });
    await broken.then(
      () => assert.unreachable(),
      (error: Error) => assert.is(error.message, "on the way"),
    );
    assert.equal(await facts(), [{ id: 1n, fact: "kept" }]);
  });

  database("bytes go in by COPY as they are", async () => {
    const fact = 'a "quoted" \\ backslash, é and 😀';
    const bytes = Buffer.from(`7\t${fact.replaceAll("\\", "\\\\")}\n`);
    await db.transaction((connection) => connection.copyIn("COPY facts FROM STDIN", bytes));
    assert.equal(await facts(), [{ id: 7n, fact }]);
  });

  database(
    "a COPY that fails leaves the connection usable, and its transaction undone",
    async () => {
      const twice = Buffer.from("1\ta\n1\tb\n");
      const copied = db.transaction((connection) =>
        connection.copyIn("COPY facts FROM STDIN", twice),
      );
      await copied.then(
        () => assert.unreachable(),
        (error: Error) => assert.match(error.message, /duplicate key/),
      );
      assert.equal(await facts(), []);
    },
  );

  database("a deadlock is tried again until both have happened", async () => {
    await db.query("INSERT INTO facts VALUES (1, ''), (2, '')");
    const append = (first: number, second: number): Promise<void> =>
      db.transaction(async (connection) => {
        const text = "UPDATE facts SET fact = fact || 'x' WHERE id = $1";
        await connection.query(text, [first]);
        await connection.query("SELECT pg_sleep(0.2)");
        await connection.query(text, [second]);
      });
    await Promise.all([append(1, 2), append(2, 1)]);
    assert.equal(await facts(), [
      { id: 1n, fact: "xx" },
      { id: 2n, fact: "xx" },
    ]);
  });

  database("a statement that takes too long is ended and called passing", async () => {
    const hasty = open(url, { statementTimeoutMs: 50 });
    const error = await rejects(() => hasty.query("SELECT pg_sleep(10)"), "database.busy");
    assert.is(error.remedy, "retry");
    await hasty.close();
  });

  database("no more connections than allowed are opened", async () => {
    const narrow = open(url, { connectionsMax: 2 });
    const count =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database()";
    const [before] = (await db.query(count)) as readonly { n: number }[];
    await Promise.all(Array.from({ length: 20 }, () => narrow.query("SELECT pg_sleep(0.01)")));
    const [after] = (await db.query(count)) as readonly { n: number }[];
    assert.is((after?.n ?? 0) - (before?.n ?? 0), 2);
    await narrow.close();
  });

  database("a server that is killed and comes back is found again by itself", async () => {
    await db.query("INSERT INTO facts VALUES (1, 'before')");
    await server.kill();
    await rejects(() => db.query("SELECT 1"), "database.unreachable");
    const insert = "INSERT INTO facts VALUES (2, 'after') ON CONFLICT DO NOTHING";
    // On a busy disk it recovers for longer than one transaction is tried again: its caller goes on.
    const waiting = until("it is stored", () =>
      db
        .transaction((connection) => connection.query(insert))
        .then(
          () => true,
          (error: { remedy?: string }) => {
            assert.is(error.remedy, "retry");
            return false;
          },
        ),
    );
    await server.restart();
    await waiting;
    assert.equal(await facts(), [
      { id: 1n, fact: "before" },
      { id: 2n, fact: "after" },
    ]);
  });

  database("a transaction whose connection is cut is run again", async () => {
    let runs = 0;
    await db.transaction(async (connection) => {
      runs++;
      await connection.query(`INSERT INTO facts VALUES (${runs}, 'once')`);
      if (runs === 1) await connection.query("SELECT pg_terminate_backend(pg_backend_pid())");
    });
    assert.equal(await facts(), [{ id: 2n, fact: "once" }]);
  });

  database("a wrong statement is a mistake of ours, and not tried again", async () => {
    let runs = 0;
    const wrong = db.transaction((connection) => {
      runs++;
      return connection.query("SELECT nonsense");
    });
    await wrong.then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /nonsense/),
    );
    assert.is(runs, 1);
  });

  database("a database that is not there is named without the password", async () => {
    const missing = open(url.replace("postgres@", "postgres:secret-word@").replace(/_\d+$/, "_no"));
    const error = await rejects(() => missing.query("SELECT 1"), "database.denied");
    assert.match(error.message, /127\.0\.0\.1:\d+\/test_no/);
    assert.not.match(error.message, /secret/);
    await missing.close();
  });
}

database("a server that is not there fails as unreachable, after a few tries", async () => {
  const nobody = open(`postgres://x@127.0.0.1:${await freePort()}/x`);
  const error = await rejects(
    () => nobody.transaction((c) => c.query("SELECT 1")),
    "database.unreachable",
  );
  assert.is(error.remedy, "retry");
  await nobody.close();
});

database.run();
