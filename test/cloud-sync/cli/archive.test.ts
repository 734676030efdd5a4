import { join } from "node:path";
import * as assert from "uvu/assert";
import { createCentralLog } from "../../../cloud-sync/log/event-log.ts";
import { makePartition } from "../../../cloud-sync/log/partitions.ts";
import { createDatabase, type Database } from "../../../cloud-sync/postgres/database.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { lineOf } from "../../../shared/log/chain.ts";
import { Device } from "../../support/central.ts";
import { json } from "../../support/cli.ts";
import { porchlightCloud } from "../../support/cloud.ts";
import { needsPostgres, type PostgresServer, startPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const verbs = suite("porchlight-cloud archive");
const folder = tempFolder("cloud-archive");
const month = "2026-02";
const door = new Device(30);
let server: PostgresServer;
let database: Database;
let environment: Record<string, string>;

const run = (...args: string[]) =>
  porchlightCloud([...args, "--data", join(folder.path, "centre")], environment);

if (needsPostgres()) {
  verbs.before(async () => {
    server = await startPostgres();
    const url = server.freshDatabase();
    environment = { PORCHLIGHT_CLOUD_DATABASE_URL: url, PORCHLIGHT_CLOUD_HTTP_PORT: "0" };
    database = createDatabase({ url, logger: silentLogger, random: Math.random });
    const log = createCentralLog(database);
    await log.open();
    await log.append([door.arrival(1, 20)]);
    await database.query(makePartition(month));
    await database.query("UPDATE event_log SET received_at = '2026-02-03T04:05:06Z'");
    await log.append([door.arrival(21, 30)]);
    const passed = "SELECT max(position) FROM event_log";
    for (const sink of ["postgres", "key-erasure", "time-series"]) {
      await database.query(`INSERT INTO sink_cursors (sink, position) VALUES ($1, (${passed}))`, [
        sink,
      ]);
    }
  });
  verbs.after(async () => {
    await database.close();
    await server.stop();
    folder.remove();
  });

  verbs("a month goes into the object store; verify and export still have it", async () => {
    const listed = async () =>
      json<{ months: { month: string; droppedAt: string | null }[]; due: string[] }>(
        await run("archive", "list", "--json"),
      );
    assert.equal(await listed(), { months: [], due: [month] });
    assert.equal(json(await run("archive", "create", "--json")), { months: [month] });
    assert.equal(json(await run("archive", "verify", month, "--json")), { month, files: 1 });
    const unsure = await run("archive", "drop", month);
    assert.is(unsure.code, 64);
    assert.match(unsure.err, "--yes");
    const dropped = await run("archive", "drop", month, "--yes", "--json");
    assert.equal(json(dropped), { month, dropped: true });
    assert.type((await listed()).months[0]?.droppedAt, "string");

    const verified = await run("log", "verify", "--json");
    const [report] = json<{ entries: number; fault: unknown }[]>(verified);
    assert.equal([report?.entries, report?.fault], [30, null]);
    const exported = await run("log", "export");
    assert.is(exported.out, door.links.map((link) => `${lineOf(link)}\n`).join(""));

    const restored = await run("archive", "restore", month, "--json");
    assert.equal(json(restored), { month, restored: true });
    assert.is((await listed()).months[0]?.droppedAt, null);
    assert.is((await run("log", "verify")).code, 0);
  });

  verbs("a month that was never archived exits 2 and says where to look", async () => {
    const ran = await run("archive", "restore", "2025-01");
    assert.is(ran.code, 2, ran.err);
    assert.match(ran.err, "porchlight-cloud archive list");
  });
}

verbs.run();
