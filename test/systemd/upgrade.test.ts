/** What an update does to an installation of before, in which the agent was of the daemon's group. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { needs, needsProgram } from "../support/needs.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const upgrading = suite("an update of an installation");
const [DAEMON, AGENT] = [61_001, 61_003];

const canRun =
  needsProgram("systemd-tmpfiles", "systemd") &&
  needs(process.getuid?.() === 0, "files of other users", "run as root");

if (canRun) {
  upgrading("takes the log from the agent's group, and gives it what is sealed", () => {
    const root = tempFolder("upgrade");
    const at = (path: string): string => join(root.path, path);
    const make = (path: string, mode: number, group = DAEMON): void => {
      mkdirSync(dirname(at(path)), { recursive: true });
      if (path.endsWith("/")) mkdirSync(at(path), { recursive: true });
      else writeFileSync(at(path), "x");
      chownSync(at(path), DAEMON, group);
      chmodSync(at(path), mode);
    };
    mkdirSync(at("etc"), { recursive: true });
    writeFileSync(
      at("etc/passwd"),
      `root:x:0:0::/:/bin/sh\nporchlight:x:${DAEMON}:${DAEMON}::/:/bin/false\nporchlight-sync:x:${AGENT}:${AGENT}::/:/bin/false\n`,
    );
    writeFileSync(
      at("etc/group"),
      `root:x:0:\nporchlight:x:${DAEMON}:porchlight-sync\nporchlight-sync:x:${AGENT}:\n`,
    );
    const data = "var/lib/porchlight";
    make(`${data}/`, 0o750);
    make(`${data}/log/`, 0o2770);
    for (const file of ["log.db", "log.db-wal", "log.db-shm", "log.db.before-0008"]) {
      make(`${data}/log/${file}`, 0o660);
    }
    make(`${data}/vault/`, 0o700);
    make(`${data}/media/`, 0o2750);
    make(`${data}/media/ab/`, 0o750);
    make(`${data}/media/ab/${"ab".repeat(32)}`, 0o640);

    const created = spawnSync("systemd-tmpfiles", [
      ...["--create", `--root=${root.path}`, join(process.cwd(), "systemd/tmpfiles.conf")],
    ]);
    assert.is(created.status, 0, String(created.stderr));
    const found = (path: string): readonly number[] => {
      const { mode, uid, gid } = statSync(at(`${data}/${path}`));
      return [mode & 0o7777, uid, gid];
    };
    assert.equal(found("log"), [0o700, DAEMON, DAEMON]);
    for (const file of ["log.db", "log.db-wal", "log.db-shm", "log.db.before-0008"]) {
      assert.equal(found(`log/${file}`), [0o600, DAEMON, DAEMON], file);
    }
    assert.equal(found("vault"), [0o700, DAEMON, DAEMON]);
    assert.equal(found("media"), [0o2750, DAEMON, AGENT]);
    assert.equal(found("media/ab"), [0o750, DAEMON, AGENT]);
    assert.equal(found(`media/ab/${"ab".repeat(32)}`), [0o640, DAEMON, AGENT]);
    const { mode, uid, gid } = statSync(at("run/porchlight-feed"));
    assert.equal([mode & 0o7777, uid, gid], [0o2750, DAEMON, AGENT]);
    root.remove();
  });

  upgrading("takes the agent out of the daemon's group, in the package as from a clone", () => {
    const script = readFileSync("scripts/package/porchlight/postinst", "utf8");
    assert.match(script, "gpasswd --delete porchlight-sync porchlight");
    assert.match(readFileSync("edge/cli/install.ts", "utf8"), '"--delete", "porchlight-sync"');
  });
}

upgrading.run();
