/** The configuration of pgBackRest in docs/centre.md, used as it stands there, but for its places. */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { porchlightCloud } from "../support/cloud.ts";
import { DatabaseRig } from "../support/database-rig.ts";
import { needs } from "../support/needs.ts";
import { needsPostgres, startPostgres } from "../support/postgres.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const external = suite("a centre on a PostgreSQL that pgBackRest backs up");
const DOCS = new URL("../../docs/centre.md", import.meta.url);
const PROGRAM = "/usr/bin/pgbackrest";

function postgresAccount(): { readonly uid: number; readonly gid: number } {
  const users = readFileSync("/etc/passwd", "utf8");
  const [, uid = "0", gid = "0"] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(users) ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

const ready = needs(existsSync(PROGRAM), "pgBackRest", "apt-get install pgbackrest");
const isRoot = needs(process.getuid?.() === 0, "root", "run it with sudo");

if (needsPostgres() && ready && isRoot) {
  external("is restored as it was at a time, by the lines of the documentation", async () => {
    const temp = tempFolder("pgbackrest");
    chmodSync(temp.path, 0o755);
    const account = postgresAccount();
    const at = (name: string): string => {
      const path = join(temp.path, name);
      mkdirSync(path);
      chownSync(path, account.uid, account.gid);
      return path;
    };
    const [repository, spool, log, lock] = [at("repo"), at("spool"), at("log"), at("lock")];
    const config = join(temp.path, "pgbackrest.conf");
    const stanza = ["--stanza=porchlight", `--config=${config}`];
    const command = `${PROGRAM} ${stanza.join(" ")} archive-push %p`;
    const server = await startPostgres(undefined, [
      "archive_mode=on",
      `archive_command=${command}`,
    ]);
    const documented = /```ini\n([\s\S]*?)```/.exec(readFileSync(DOCS, "utf8"))?.[1] ?? "";
    const lines = documented
      .replace("/mnt/other-disk/pgbackrest", repository)
      .replace("<of your own>", "a passphrase of this test")
      .replace("/var/lib/postgresql/15/main", server.data);
    const here = [
      `pg1-port=${server.port}`,
      `pg1-socket-path=${server.folder}`,
      "pg1-user=postgres",
    ];
    const places = [`spool-path=${spool}`, `log-path=${log}`, `lock-path=${lock}`];
    writeFileSync(config, `${lines}${here.join("\n")}\n[global]\n${places.join("\n")}\n`);
    const run = (...words: string[]): string =>
      execFileSync(PROGRAM, [...stanza, ...words], { ...account, encoding: "utf8", cwd: "/" });

    const rig = new DatabaseRig(server, join(temp.path, "rig"));
    const centre = await rig.start();
    await rig.join();
    assert.is((await rig.sync()).code, 0);
    run("stanza-create");
    run("backup");
    await sleep(2_000); // it counts in seconds
    const then = rig.sql("SELECT now()").trim();
    const before = rig.sql("SELECT count(*) FROM event_log").trim();
    await sleep(1_000);
    rig.sql("DELETE FROM event_log", "SELECT pg_switch_wal()");
    assert.is(await centre.stop(), 0);
    await sleep(2_000);
    await server.halt();
    run("--delta", "--type=time", `--target=${then}`, "--target-action=promote", "restore");
    await server.restart();
    assert.is(rig.sql("SELECT count(*) FROM event_log").trim(), before);
    const verified = await porchlightCloud(["log", "verify", ...rig.data], rig.variables);
    assert.is(verified.code, 0, verified.err);
    await server.stop();
    temp.remove();
  });
}

external.run();
