import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { CENTRE_ONLY } from "../../../edge/install/modules.ts";
import { json, porchlight, userEnvironment } from "../../support/cli.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const install = suite("install into an image");
const root = tempFolder("image");
const at = (path: string): string => join(root.path, path);
const into = ["--root", root.path];

install.before(async () => {
  // As a careless owner has it: what is placed must not be anybody's to write all the same.
  const umask = process.umask(0);
  const { code, err } = await porchlight(["install", ...into]);
  process.umask(umask);
  assert.is(code, 0, err);
});
install.after(() => root.remove());

install("places units, users and folders, and enables the daemon", () => {
  const wanted = at("etc/systemd/system/multi-user.target.wants/porchlight.service");
  assert.is(readlinkSync(wanted), "../porchlight.service");
  const unit = readFileSync(at("etc/systemd/system/porchlight.service"), "utf8");
  const node = "/usr/lib/porchlight/bin/node";
  assert.match(unit, `ExecStart=${node} /usr/lib/porchlight/dist/edge/main.js`);
  assert.is(statSync(at(node)).mode & 0o111, 0o111, "its own Node.js went along");
  assert.ok(existsSync(at("usr/lib/sysusers.d/porchlight.conf")));
  assert.ok(existsSync(at("usr/lib/tmpfiles.d/porchlight.conf")));
  assert.is(statSync(at("usr/bin/porchlight")).mode & 0o777, 0o755);
  assert.is(spawnSync("sh", ["-n", at("usr/bin/porchlight")]).status, 0);
  assert.not.ok(existsSync(at("etc/credstore.encrypted")), "an image holds no key");
});

install("nothing that it placed may be written by everybody", () => {
  const all = ["usr", "etc", "var"].flatMap((top) =>
    readdirSync(at(top), { recursive: true, encoding: "utf8" }).map((name) => join(at(top), name)),
  );
  assert.ok(all.length > 100);
  const open = all.filter((path) => {
    const found = lstatSync(path);
    return !found.isSymbolicLink() && (found.mode & 0o002) !== 0;
  });
  assert.equal(open, []);
});

install("on a Jetson the daemon gets the camera's socket and its chip's devices", async () => {
  const dropIn = at("etc/systemd/system/porchlight.service.d/jetson.conf");
  assert.not.ok(existsSync(dropIn), "and nowhere else");
  writeFileSync(at("etc/nv_tegra_release"), "# R36 (release)\n");
  assert.is((await porchlight(["install", ...into])).code, 0);
  const words = readFileSync(dropIn, "utf8");
  assert.match(words, /^BindPaths=-\/tmp\/argus_socket$/m);
  for (const device of ["/dev/nvmap", "/dev/nvhost-nvjpg", "char-nvhost*", "char-drm"]) {
    assert.ok(words.includes(`\nDeviceAllow=${device} rw\n`), device);
  }
  assert.not.match(words, /Network|RestrictAddressFamilies/);
  const packaged = readFileSync("scripts/package/porchlight/postinst", "utf8");
  assert.match(packaged, "jetson.conf");
});

install("what it placed runs by itself, with nothing of the clone", () => {
  const program = at("usr/lib/porchlight/dist/edge/cli/porchlight.js");
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "models", "verify"], {
    cwd: root.path,
    encoding: "utf8",
    env: userEnvironment({ PORCHLIGHT_MODELS_DIRECTORY: at("var/lib/porchlight/models") }),
  });
  assert.is(status, 0, stderr);
  assert.match(stdout, /default@.* is whole/);
  const modules = readdirSync(at("usr/lib/porchlight/node_modules"));
  assert.ok(modules.includes("better-sqlite3"));
  for (const tool of ["typescript", "uvu", "knip"]) assert.not.ok(modules.includes(tool));
  for (const name of CENTRE_ONLY) {
    assert.not.ok(
      existsSync(at(`usr/lib/porchlight/node_modules/${name}`)),
      `${name}: of the centre`,
    );
  }
  assert.equal(
    modules.filter((name) => /^(pg|postgres|aedes|@aws-sdk|@smithy)/.test(name)),
    [],
    "the central endpoint is another program, with all that it stands on",
  );
  assert.not.ok(existsSync(at("usr/lib/porchlight/dist/cloud-sync")));
});

install("the configuration it places is a valid one, and the owner's stays", async () => {
  const file = at("etc/porchlight/porchlight.yaml");
  const { code, err } = await porchlight(["config", "check", "--config", file]);
  assert.is(code, 0, err);
  writeFileSync(file, "data: /elsewhere\n");
  assert.is((await porchlight(["install", ...into])).code, 0, "an update can be repeated");
  assert.is(readFileSync(file, "utf8"), "data: /elsewhere\n");
});

install("a network camera may speak to its one address", async () => {
  const camera = ["--camera", "front", "--address", "192.168.1.20"];
  const ran = await porchlight(["install", ...into, ...camera, "--json"]);
  assert.is(json<{ socket: string }>(ran).socket, "/run/porchlight-camera/front/frames.sock");
  const folder = at("etc/systemd/system/porchlight-camera@front.service.d");
  assert.match(readFileSync(join(folder, "address.conf"), "utf8"), "IPAddressAllow=192.168.1.20\n");
  for (const [wrong, value] of [
    ["--address", "0.0.0.0/0"],
    ["--camera", "../../x"],
  ] as const) {
    const args = ["--camera", "front", "--address", "192.168.1.20", wrong, value];
    assert.is((await porchlight(["install", ...into, ...args])).code, 64);
  }
});

install("what a Debian package has placed is left to dpkg", async () => {
  const list = at("var/lib/dpkg/info/porchlight.list");
  mkdirSync(join(list, ".."), { recursive: true });
  writeFileSync(list, "/.\n/usr/lib\n/usr/lib/porchlight\n/usr/lib/porchlight/bin\n");
  const { code, err } = await porchlight(["install", ...into]);
  assert.is(code, 1);
  assert.match(err, /is the Debian package's\n {2}updated by: sudo apt install/);
  assert.match((await porchlight(["uninstall", ...into])).err, "sudo apt remove porchlight");
  writeFileSync(list, "/.\n/etc/porchlight/porchlight.yaml\n");
  assert.is((await porchlight(["install", ...into])).code, 0, "the package was removed");
});

install(
  "uninstall takes away what install placed, and leaves store and configuration",
  async () => {
    writeFileSync(at("var/lib/porchlight/kept"), "a store");
    assert.is((await porchlight(["uninstall", ...into, "--purge"])).code, 64, "not without --yes");
    assert.is((await porchlight(["uninstall", ...into])).code, 0);
    assert.not.ok(existsSync(at("usr/lib/porchlight")));
    assert.not.ok(existsSync(at("usr/bin/porchlight")));
    assert.not.ok(existsSync(at("etc/systemd/system/porchlight.service")));
    assert.equal(
      readdirSync(at("etc/systemd/system"), { recursive: true, encoding: "utf8" }).filter((name) =>
        name.includes("porchlight"),
      ),
      [],
    );
    assert.ok(existsSync(at("var/lib/porchlight/kept")));
    assert.ok(existsSync(at("etc/porchlight/porchlight.yaml")));
    const secrets = at("etc/credstore.encrypted");
    mkdirSync(secrets);
    for (const name of ["log-key", "camera-url.front"]) {
      writeFileSync(join(secrets, `porchlight.${name}`), "");
    }
    writeFileSync(join(secrets, "another.key"), "");
    assert.is((await porchlight(["uninstall", ...into, "--purge", "--yes"])).code, 0);
    assert.equal(readdirSync(secrets), ["another.key"], "addresses of cameras have passwords");
    assert.not.ok(existsSync(at("var/lib/porchlight")));
    assert.not.ok(existsSync(at("etc/porchlight")));
  },
);

install.run();
