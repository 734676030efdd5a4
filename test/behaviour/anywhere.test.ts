/** Where people really run it: as root in a closed folder, as a user of a clone that is not theirs. */
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
} from "node:fs";
import { join, resolve } from "node:path";
import * as assert from "uvu/assert";
import { postmasterOf, serversOn } from "../../cloud-sync/postgres/cluster.ts";
import { findPrograms } from "../../cloud-sync/postgres/programs.ts";
import { reachablePrograms } from "../../cloud-sync/postgres/reachable-programs.ts";
import { ownUser, userNameOf } from "../../cloud-sync/postgres/system-user.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { json, userEnvironment } from "../support/cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "../support/cloud.ts";
import { needs } from "../support/needs.ts";
import { needsPostgres, PROGRAMS } from "../support/postgres.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const anywhere = suite("anywhere");

const OWN_USER = "porchlight-postgres";
/** Users that every Debian has. */
const NOBODY = 65_534;
const DAEMON = 1;
const asRoot = (): boolean => needs(process.geteuid?.() === 0, "root", "run it with sudo");

/** A folder that root alone may enter, with a name that has to be quoted everywhere. */
function closedFolder() {
  const temp = tempFolder("any where ü");
  assert.is(statSync(temp.path).mode & 0o777, 0o700);
  const data = join(temp.path, "Türe vorn");
  return { ...temp, data, server: join(data, "postgres/data") };
}

function ownerOf(pid: number | null): string | null {
  return userNameOf(statSync(`/proc/${pid}`).uid);
}

async function killed({ child }: CentreProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

function ownersBelow(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return [...new Set(found.map((name) => String(userNameOf(lstatSync(join(folder, name)).uid))))];
}

/** What another user of the machine gets who tries `program`. */
function asDaemon(program: string, ...args: string[]) {
  const as = [`--reuid=${DAEMON}`, `--regid=${DAEMON}`, "--clear-groups", program, ...args];
  return spawnSync("setpriv", as, { encoding: "utf8" });
}

anywhere("a centre of root's in a closed folder, killed and found again", async () => {
  if (!asRoot()) return;
  const at = closedFolder();
  const first = await startCentre(["--data", at.data]);
  assert.is(ownerOf(postmasterOf(at.server)), OWN_USER);
  const add = ["devices", "add", "7d0cb2b4-9a55-4bd3-a4b7-51ba4dfd5bd8"];
  const added = await porchlightCloud([...add, "--out", join(at.path, "b"), "--data", at.data]);
  assert.is(added.code, 0, added.err);
  await killed(first);
  assert.ok(serversOn(at.server).length > 0, "the database goes on without us");
  for (const verb of [
    ["visits", "list"],
    ["devices", "list"],
  ]) {
    const ran = await porchlightCloud([...verb, "--data", at.data, "--json"]);
    assert.is(ran.code, 0, ran.err);
    assert.is(json<unknown[]>(ran).length, verb[0] === "devices" ? 1 : 0);
  }
  assert.equal(serversOn(at.server), [], "and is ended by the first command that finds it");
  at.remove();
});

anywhere("nobody else of the machine reads it or connects, opened folders or not", async () => {
  if (!asRoot()) return;
  const at = closedFolder();
  const centre = await startCentre(["--data", at.data]);
  const folder = join(at.data, "postgres");
  const socket = join(folder, ".s.PGSQL.5432");
  const connect = `import socket; socket.socket(socket.AF_UNIX).connect(${JSON.stringify(socket)})`;
  // First by the folder of root's, then by the server's own, then by what is in that.
  for (const open of [null, at.path, at.data, folder]) {
    if (open !== null) chmodSync(open, 0o755);
    const read = asDaemon("ls", join(folder, "data"));
    assert.match(read.stderr, "Permission denied");
    const asked = asDaemon("/usr/bin/python3", "-c", connect);
    assert.match(asked.stderr, "PermissionError");
  }
  assert.is(await centre.stop(), 0);
  at.remove();
});

anywhere(
  "the database itself asks the kernel who it is, should a socket ever stand open",
  async () => {
    if (!asRoot() || !needsPostgres()) return;
    const at = closedFolder();
    const centre = await startCentre(["--data", at.data]);
    const folder = join(at.data, "postgres");
    for (const path of [at.path, at.data, folder]) chmodSync(path, 0o755);
    chmodSync(join(folder, ".s.PGSQL.5432"), 0o777);
    const words = ["-h", folder, "-U", "porchlight", "-d", "postgres", "-tAc", "SELECT 1"];
    for (const user of ["porchlight", "postgres"]) {
      const asked = asDaemon(join(PROGRAMS, "psql"), ...words, "-U", user);
      assert.is(asked.status, 2);
      assert.match(asked.stderr, /[Pp]eer authentication failed|no pg_hba.conf entry/);
    }
    assert.is(spawnSync(join(PROGRAMS, "psql"), words, { encoding: "utf8" }).stdout, "1\n");
    assert.is(await centre.stop(), 0);
    at.remove();
  },
);

anywhere("commands of root's beside a centre of another user leave nothing of root's", async () => {
  if (!asRoot()) return;
  const temp = tempFolder("another's");
  chmodSync(temp.path, 0o755);
  const data = join(temp.path, "data");
  mkdirSync(data);
  chownSync(data, DAEMON, DAEMON);
  const device = "7d0cb2b4-9a55-4bd3-a4b7-51ba4dfd5bd8";
  const open = { PORCHLIGHT_CLOUD_BROKER_HOST: "0.0.0.0", PORCHLIGHT_CLOUD_BROKER_PORT: "38883" };
  for (const words of [
    ["migrate"],
    ["archive", "list"],
    ["archive", "create", "2020-01"],
    ["devices", "add", device, "--out", join(temp.path, "bundle")],
    ["devices", "rotate", device, "--out", join(temp.path, "bundle-2")],
    ["keys", "renew", "--yes"],
    ["status"],
  ]) {
    await porchlightCloud([...words, "--data", data], open);
    assert.equal(ownersBelow(data), [userNameOf(DAEMON)], words.join(" "));
  }
  assert.ok(existsSync(join(data, "tls/server.key")) && existsSync(join(data, "objects")));
  assert.is(statSync(join(temp.path, "bundle")).uid, 0, "what is not the centre's stays root's");
  temp.remove();
});

anywhere(
  "a database that an earlier version gave to nobody changes hands, and is kept",
  async () => {
    if (!asRoot()) return;
    const at = closedFolder();
    const device = "7d0cb2b4-9a55-4bd3-a4b7-51ba4dfd5bd8";
    assert.is((await porchlightCloud(["migrate", "--data", at.data])).code, 0);
    const words = ["devices", "add", device, "--out", join(at.path, "bundle"), "--data", at.data];
    const added = await porchlightCloud(words);
    assert.is(added.code, 0, added.err);
    execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, join(at.data, "postgres")]);
    const listed = await porchlightCloud(["devices", "list", "--data", at.data, "--json"]);
    assert.is(json<unknown[]>(listed).length, 1, listed.err);
    assert.equal(ownersBelow(join(at.data, "postgres/data")), [OWN_USER]);
    assert.equal(serversOn(at.server), []);
    at.remove();
  },
);

anywhere("programs below a closed folder are copied for the server's user alone", async () => {
  if (!asRoot()) return;
  const temp = tempFolder("programs");
  try {
    const native = resolve((await findPrograms()).postgres, "../..");
    const closed = join(temp.path, "native");
    cpSync(native, closed, { recursive: true, filter: (path) => !path.endsWith(".a") });
    // Whatever the umask of this clone was.
    execFileSync("chmod", ["-R", "a+rX", closed]);
    const bin = (name: string): string => join(closed, "bin", name);
    const account = await ownUser(silentLogger);
    chmodSync(temp.path, 0o755);
    const programs = { initdb: bin("initdb"), postgres: bin("postgres") };
    assert.is(reachablePrograms(programs, account, silentLogger, temp.path), programs);
    chmodSync(closed, 0o700);
    const place = join(temp.path, "place");
    const copies = reachablePrograms(programs, account, silentLogger, place);
    assert.ok(copies.postgres.startsWith(`${place}/`));
    assert.equal(reachablePrograms(programs, account, silentLogger, place), copies);
    const copy = resolve(copies.postgres, "../..");
    for (const name of ["", ...readdirSync(copy, { recursive: true, encoding: "utf8" })]) {
      const { uid, gid, mode } = statSync(join(copy, name));
      assert.equal([uid, gid, mode & 0o027], [0, account.gid, 0], name);
    }
    assert.match(asDaemon("head", copies.postgres).stderr, "Permission denied");
  } finally {
    temp.remove();
  }
});

anywhere("another user runs the demo from a clone that nobody can write to", async () => {
  if (!asRoot()) return;
  const readable = (path: string): boolean => (statSync(path).mode & 0o005) === 0o005;
  const open = [".", "dist", "node_modules", ".cache"].every(readable);
  if (!needs(open, "a clone that others may read", "git clone with umask 022")) return;
  const temp = tempFolder("read only ü");
  try {
    chmodSync(temp.path, 0o755);
    const [clone, home] = [join(temp.path, "the clone"), join(temp.path, "work")];
    for (const folder of [clone, home]) mkdirSync(folder);
    chownSync(home, DAEMON, DAEMON);
    // The mounts end with the shell: they are in a namespace of its own.
    const script = `set -e
      mount --bind ${resolve(".")} "$1"; mount -o remount,ro,bind "$1"; cd "$2"; umask 077
      exec setpriv --reuid=${DAEMON} --regid=${DAEMON} --clear-groups --no-new-privs \\
        env -u HOME -u XDG_CACHE_HOME TMPDIR="$2" "$1/bin/porchlight" demo --json`;
    const words = ["--mount", "sh", "-c", script, "sh", clone, home];
    const env = userEnvironment();
    const ran = spawnSync("unshare", words, { env, encoding: "utf8" });
    assert.is(ran.status, 0, ran.stderr);
    const { sheet, visits, centre } = JSON.parse(ran.stdout);
    assert.is(centre.visits, visits.length);
    assert.ok(sheet.startsWith(`${home}/porchlight-demo-`) && existsSync(sheet), sheet);
    assert.is(statSync(sheet).uid, DAEMON);
    assert.is(statSync(sheet).mode & 0o077, 0);
  } finally {
    temp.remove();
  }
});

anywhere.run();
