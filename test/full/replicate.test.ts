import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { bootAndRun, debianRoot, needsMachine } from "../support/nspawn.ts";
import { installInto, needsPackaging, packagesOf } from "../support/packages.ts";
import { bundledPeople, writeScenes } from "../support/people.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const booted = suite("door, agent and centre by their units, on a real Debian");

/** Runs as root inside, once the daemon is ready; what it finds goes to /probe. */
const PROBE = `
mkdir -p /probe; exec 2> /probe/errors
for i in $(seq 60); do test -e /var/lib/porchlight-cloud/centre.json && break; sleep 1; done
device=$(porchlight log export | head -1 | sed 's/.*"device":"\\([^"]*\\)".*/\\1/')
porchlight-cloud devices add $device --out /root/bundle > /probe/added
porchlight ring > /probe/rang
porchlight sync join /root/bundle > /probe/joined
systemctl restart porchlight-sync
for i in $(seq 60); do
  porchlight sync status --json > /probe/status
  grep -q '"lagEntries":[0-3],' /probe/status && break; sleep 1
done
systemctl stop porchlight
sleep 2
porchlight sync status --json > /probe/status
porchlight log export > /probe/here
porchlight-cloud log export --device $device > /probe/there
porchlight-cloud visits list --json > /probe/visits
systemctl show porchlight-sync > /probe/agent
systemctl show porchlight-cloud > /probe/centre
pid=$(systemctl show porchlight-sync -p MainPID --value)
grep -E '^(Cap|NoNewPrivs|Seccomp|Uid)' /proc/$pid/status > /probe/rights
as="nsenter -t $pid -m -S $(id -u porchlight-sync) -G $(id -g porchlight-sync)"
$as find / -path /proc -prune -o -writable -not -type l -print > /probe/writable
$as find / -path /proc -prune -o -path /sys -prune -o \\( -name 'vault.db*' -o -name 'log.db*' \\) -print > /probe/vault
systemctl stop porchlight-sync porchlight-cloud
journalctl -u porchlight-sync -u porchlight-cloud -o cat --no-pager > /probe/journal
`;

const CONFIG =
  "data: /var/lib/porchlight\nmodels: {directory: /var/lib/porchlight/models, threads: 1}\n" +
  "camera: {kind: files, name: door, paths: [/var/lib/porchlight/scenes], loop: true, framesPerSecond: 5}\n" +
  "recognition: {absentMs: 800, decideAfterMs: 300}\ntelemetry: {intervalS: 3}\n";

if (needsMachine() && needsPackaging()) {
  const folder = tempFolder("replicate");
  let root: string;
  const probe = (name: string): string => readFileSync(join(root, "probe", name), "utf8");
  const shown = (file: string, name: string): string =>
    new RegExp(`^${name}=(.*)$`, "m").exec(probe(file))?.[1] ?? "";

  booted.before(async () => {
    root = debianRoot(folder.path);
    const packages = packagesOf(folder.path, "0.1.0");
    installInto(root, packages.door, packages.centre);
    writeFileSync(join(root, "etc/porchlight/porchlight.yaml"), CONFIG);
    const people = await bundledPeople();
    await writeScenes(people.slice(0, 2), join(root, "var/lib/porchlight/scenes"), 6);
    writeFileSync(join(folder.path, "boot"), bootAndRun(root, "porchlight.service", PROBE));
  });
  booted.after(() => folder.remove());

  booted("what happened at the door is in the centre's PostgreSQL, line by line", () => {
    const [here, there] = [probe("here").split("\n"), probe("there").split("\n")];
    assert.ok(there.length > 5, probe("journal"));
    assert.equal(there, here.slice(0, there.length - 1).concat(""));
    assert.ok(here.length - there.length <= 3, "what was written last may be on its way");
    assert.match(probe("there"), /"type":"button\.pressed"/);
    assert.ok(JSON.parse(probe("visits")).length > 0);
  });

  booted("agent and centre ran all the time, each under its own user and without a right", () => {
    for (const unit of ["agent", "centre"]) {
      assert.is(shown(unit, "ActiveState"), "active", probe("journal"));
      assert.is(shown(unit, "NRestarts"), "0");
    }
    assert.match(probe("rights"), /^CapEff:\s+0+$/m);
    assert.match(probe("rights"), /^NoNewPrivs:\s+1$/m);
    assert.match(probe("rights"), /^Seccomp:\s+2$/m);
    assert.not.match(probe("rights"), /^Uid:\s+0/m);
  });

  booted("the agent writes its status and to the feed, and sees no database", () => {
    const own =
      /^\/(run\/porchlight-feed\/feed\.sock|run\/porchlight-sync|tmp|var\/tmp|dev|run\/systemd)(\/|$)/;
    const lines = probe("writable").trim().split("\n").filter(Boolean);
    assert.equal(
      lines.filter((path) => !own.test(path)),
      [],
    );
    assert.is(probe("vault").trim(), "");
  });
}

booted.run();
