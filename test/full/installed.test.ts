import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { porchlight } from "../support/cli.ts";
import { bootAndRun, debianRoot, needsMachine, type Release } from "../support/nspawn.ts";
import { DEBIAN_ARCH, installInto, needsPackaging, packagesOf } from "../support/packages.ts";
import { bundledPeople, writePhotos, writeScenes } from "../support/people.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const installed = suite("the Debian packages, from apt install to apt purge");
const RELEASES: readonly Release[] = ["bookworm", "trixie"];
const BEFORE = "0.0.9";
const NOW = "0.1.0";
const SECRET = "rtsp://owner:s3cret@192.0.2.7/stream";
/** Six installations by dpkg, on two cores that others use too. */
const TIMEOUT_MS = 900_000;

const CONFIG =
  "data: /var/lib/porchlight\nmodels: {directory: /var/lib/porchlight/models, threads: 1}\n" +
  "camera: {kind: files, name: door, paths: [/var/lib/porchlight/scenes], loop: true, framesPerSecond: 5}\n" +
  "recognition: {absentMs: 800, decideAfterMs: 300}\ntelemetry: {intervalS: 3}\n";

/** Runs as root inside; what it finds goes to /probe. */
const PROBE = `
mkdir -p /probe; exec 2> /probe/errors; set -x
export DEBIAN_FRONTEND=noninteractive
files() {
  find / -xdev \\( -path /probe -o -path /packages -o -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \\) -prune -o -print | sort
}
install() { apt-get install --yes --no-install-recommends "$@" < /dev/null; }
known() { # until somebody was recognised since
  for i in $(seq 60); do
    porchlight visits list --json > /probe/$1
    grep -q '"outcome":"known"' /probe/$1 && return; sleep 1
  done
}
answers() { for i in $(seq 60); do
  node=/usr/lib/porchlight-cloud/bin/node
  $node -e 'fetch("http://127.0.0.1:8480/health/ready").then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))' && echo ready > /probe/$1 && return; sleep 1
done; }
files > /probe/files-before

install /packages/before/*.deb > /probe/install 2>&1; echo $? > /probe/install-code
systemctl show porchlight > /probe/show-unconfigured
porchlight people list --json > /probe/people-first
cp -r /packages/scenes /packages/photos /var/lib/porchlight/ && chown -R porchlight: /var/lib/porchlight/scenes /var/lib/porchlight/photos
cp /packages/porchlight.yaml /etc/porchlight/porchlight.yaml
systemctl restart porchlight; echo $? > /probe/restart-code
porchlight enroll Grace /var/lib/porchlight/photos/Grace --json > /probe/enroll
known visits-before
porchlight --version > /probe/version-before
printf '${SECRET}' | porchlight install --camera front --address 192.0.2.7 > /probe/camera 2>&1
ls /etc/credstore.encrypted > /probe/credentials

answers centre-before
device=$(porchlight log export | head -1 | sed 's/.*"device":"\\([^"]*\\)".*/\\1/')
porchlight-cloud devices add $device --out /root/bundle > /probe/added
porchlight sync join /root/bundle > /probe/joined; rm -f /root/bundle
systemctl restart porchlight-sync
for i in $(seq 60); do
  porchlight-cloud visits list --json > /probe/centre-visits
  grep -q '"outcome":"known"' /probe/centre-visits && break; sleep 1
done

porchlight log export | head -5 > /probe/log-before
install /packages/now/*.deb > /probe/upgrade 2>&1; echo $? > /probe/upgrade-code
systemctl show porchlight > /probe/show-upgraded
porchlight --version > /probe/version-after
porchlight people list --json > /probe/people-upgraded
porchlight log export | head -5 > /probe/log-after
porchlight log verify --json > /probe/verified
answers centre-upgraded
porchlight-cloud log list --json > /probe/centre-logs
porchlight models build > /probe/models 2>&1; echo $? > /probe/models-code
porchlight install > /probe/refused 2>&1; echo $? > /probe/refused-code

apt-get remove --yes porchlight porchlight-cloud > /probe/remove 2>&1; echo $? > /probe/remove-code
files > /probe/files-removed
ps -e -o user:32,args > /probe/processes
install /packages/now/*.deb > /probe/again 2>&1; echo $? > /probe/again-code
systemctl show porchlight > /probe/show-again
porchlight people list --json > /probe/people-again
answers centre-again
porchlight-cloud log list --json > /probe/centre-logs-again

echo kept > /etc/porchlight/my-notes; mkdir -p /etc/systemd/system/porchlight.service.d
printf '[Service]\\nNice=1\\n' > /etc/systemd/system/porchlight.service.d/override.conf
apt-get purge --yes porchlight > /probe/purge 2>&1; echo $? > /probe/purge-code
ls /etc/porchlight > /probe/left-for-the-centre
apt-get purge --yes porchlight-cloud >> /probe/purge 2>&1; echo $? >> /probe/purge-code
files > /probe/files-after
find /run /tmp -name '*porchlight*' > /probe/run-after
grep porchlight /etc/passwd /etc/group > /probe/users-after
journalctl -u 'porchlight*' -o cat --no-pager > /probe/journal
`;

/** What apt, dpkg, systemd and the C library keep for themselves, of whichever package. */
const OTHERS = [
  /^\/var\/(cache|log|lib\/(apt|dpkg))(\/|$)/,
  /^\/var\/lib\/systemd\/(credential\.secret|random-seed|timers|catalog|linger|coredump|ephemeral-trees|rfkill|timesync|pstore)/,
  /^\/etc\/((passwd|group|shadow|gshadow)-|\.pwd\.lock|ld\.so\.cache|machine-id|\.updated)$/,
  /^\/(etc|var)\/\.updated$/,
  /^\/var\/lib\/private$/,
];

if (needsMachine() && needsPackaging()) {
  const folder = tempFolder("packages");
  installed.before(async () => {
    packagesOf(join(folder.path, "before"), BEFORE);
    packagesOf(join(folder.path, "now"), NOW);
    const people = await bundledPeople();
    writePhotos(people, join(folder.path, "photos"));
    await writeScenes(people.slice(0, 3), join(folder.path, "scenes"), 6);
    writeFileSync(join(folder.path, "porchlight.yaml"), CONFIG);
  });
  installed.after(() => folder.remove());

  installed("they take over from porchlight install, and keep what is the owner's", async () => {
    const place = tempFolder("takeover");
    const root = debianRoot(place.path);
    const ran = await porchlight(["install", "--root", root]);
    assert.is(ran.code, 0, ran.err);
    const at = (path: string): string => join(root, path);
    writeFileSync(at("etc/porchlight/porchlight.yaml"), CONFIG);
    writeFileSync(at("usr/lib/porchlight/left-over"), "");
    const camera = ["--camera", "front", "--address", "192.0.2.7"];
    assert.is((await porchlight(["install", "--root", root, ...camera])).code, 0);
    installInto(root, join(folder.path, "now", `porchlight_${NOW}_${DEBIAN_ARCH}.deb`));
    assert.is(readFileSync(at("etc/porchlight/porchlight.yaml"), "utf8"), CONFIG);
    for (const gone of [
      "etc/systemd/system/porchlight.service",
      "etc/systemd/system/porchlight-keys.service",
      "usr/lib/porchlight/left-over",
    ]) {
      assert.not.ok(existsSync(at(gone)), gone);
    }
    for (const kept of [
      "etc/systemd/system/porchlight-camera@front.service.d/address.conf",
      "var/lib/porchlight/models/default/pack.json",
    ]) {
      assert.ok(existsSync(at(kept)), kept);
    }
    place.remove();
  });

  for (const release of RELEASES) tellOf(release, folder.path);
}

function tellOf(release: Release, packages: string): void {
  const place = tempFolder(`packages-${release}`);
  const root = join(place.path, "root");
  const probe = (name: string): string => readFileSync(join(root, "probe", name), "utf8");
  const code = (name: string): number => Number(probe(`${name}-code`));
  const paths = (name: string): string[] => probe(`files-${name}`).trim().split("\n");
  const shown = (file: string, name: string): string =>
    new RegExp(`^${name}=(.*)$`, "m").exec(probe(`show-${file}`))?.[1] ?? "";
  const names = (file: string): string[] =>
    (JSON.parse(probe(file)) as { name: string }[]).map(({ name }) => name);
  const logs = (file: string) => JSON.parse(probe(file)) as { log: string; seq: number }[];

  installed(`${release}: apt installs both, without a network`, () => {
    debianRoot(place.path, release);
    const bound = bootAndRun(root, "multi-user.target", PROBE, { timeoutMs: TIMEOUT_MS, packages });
    writeFileSync(join(place.path, "boot"), bound);
    assert.is(code("install"), 0, probe("install"));
    assert.match(probe("install"), "name a camera in /etc/porchlight/porchlight.yaml");
    assert.equal(names("people-first"), [], "keys and an empty store are there");
  });

  installed(`${release}: the door is ready and recognises; the centre hears of it`, () => {
    assert.is(code("restart"), 0, probe("journal"));
    assert.match(probe("enroll"), /"person"/);
    assert.match(probe("visits-before"), /"outcome":"known"/);
    assert.match(probe("version-before"), `porchlight ${BEFORE}, Node.js `);
    assert.match(probe("version-before"), "(its own)");
    assert.is(probe("centre-before"), "ready\n", probe("journal"));
    assert.match(probe("centre-visits"), /"outcome":"known"/);
  });

  installed(`${release}: an upgrade keeps the store and goes on watching`, () => {
    assert.is(code("upgrade"), 0, probe("upgrade"));
    assert.match(probe("version-after"), `porchlight ${NOW}, `);
    assert.is(shown("upgraded", "ActiveState"), "active");
    assert.is(
      shown("upgraded", "FragmentPath").endsWith("/lib/systemd/system/porchlight.service"),
      true,
    );
    assert.equal(names("people-upgraded"), ["Grace"]);
    assert.is(probe("log-after"), probe("log-before"));
    assert.match(probe("verified"), /"fault":null/);
    assert.is(probe("centre-upgraded"), "ready\n");
    assert.is(logs("centre-logs").length, 1);
  });

  installed(`${release}: a new pack can be built beside the door, as its user`, () => {
    assert.is(code("models"), 0, probe("models"));
  });

  installed(`${release}: porchlight install leaves the package's files to dpkg`, () => {
    assert.is(code("refused"), 1);
    assert.match(probe("refused"), "is the Debian package's");
  });

  installed(`${release}: remove keeps store, keys and configuration, and runs nothing`, () => {
    assert.is(code("remove"), 0, probe("remove"));
    const left = paths("removed");
    assert.not.ok(left.some((path) => path.startsWith("/usr/lib/porchlight")));
    for (const kept of [
      "/var/lib/porchlight/log/log.db",
      "/etc/credstore.encrypted/porchlight.vault-key",
      "/etc/credstore.encrypted/porchlight.camera-url.front",
      "/etc/porchlight/porchlight.yaml",
      "/etc/porchlight/porchlight-cloud.yaml",
      "/var/lib/porchlight-cloud/keys/site.key",
    ]) {
      assert.ok(left.includes(kept), kept);
    }
    assert.not.match(probe("processes"), /^porchlight/m);
  });

  installed(`${release}: installed again, it finds them`, () => {
    assert.is(code("again"), 0, probe("again"));
    assert.is(shown("again", "ActiveState"), "active", probe("journal"));
    assert.equal(names("people-again"), ["Grace"]);
    assert.is(probe("centre-again"), "ready\n");
    const [before, again] = [logs("centre-logs"), logs("centre-logs-again")];
    assert.equal(again.length, 1);
    assert.is(again[0]?.log, before[0]?.log);
    assert.ok((again[0]?.seq ?? 0) > (before[0]?.seq ?? 0), "the agent went on where it was");
  });

  installed(`${release}: purge leaves nothing, and the other package its own`, () => {
    assert.is(probe("purge-code"), "0\n0\n", probe("purge"));
    assert.match(probe("credentials"), "porchlight.camera-url.front");
    assert.is(probe("left-for-the-centre"), "porchlight-cloud.yaml\n");
    const before = new Set(paths("before"));
    const left = paths("after").filter(
      (path) => !before.has(path) && !OTHERS.some((other) => other.test(path)),
    );
    assert.equal(left, []);
    assert.is(probe("run-after"), "");
    assert.is(probe("users-after"), "");
    place.remove();
  });
}

installed.run();
