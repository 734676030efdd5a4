import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { basename, join } from "node:path";
import * as assert from "uvu/assert";
import { CENTRE_ONLY, DEVICE_ONLY } from "../../edge/install/modules.ts";
import { needsProgram } from "../support/needs.ts";
import { makePackages, needsPackaging } from "../support/packages.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const packaging = suite("npm run package");
/** What a door downloads, over a line that may be slow. */
const DOOR_MB_MAX = 130;
/** e_machine of elf(5). */
const MACHINES = { amd64: 62, arm64: 183 } as const;

if (needsPackaging()) {
  const folder = tempFolder("package");
  let files: string[] = [];
  const fileOf = (name: string, arch: string): string =>
    files.find((file) => new RegExp(`/${name}_[^/_]+_${arch}\\.deb$`).test(file)) ?? `no ${name}`;
  const listed = (file: string): string => {
    const { stdout } = spawnSync("dpkg-deb", ["-c", file], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    return stdout;
  };

  packaging.before(() => {
    files = makePackages(join(folder.path, "one"));
  });
  packaging.after(() => folder.remove());

  packaging("makes both packages for both processors, none too large for a door", () => {
    assert.equal(files.map((file) => basename(file).replace(/_[\d.]+_/, "_")).sort(), [
      "porchlight-cloud_amd64.deb",
      "porchlight-cloud_arm64.deb",
      "porchlight_amd64.deb",
      "porchlight_arm64.deb",
    ]);
    for (const file of files) {
      const sizeMB = statSync(file).size / 1e6;
      process.stdout.write(`${basename(file)}: ${sizeMB.toFixed(1)} MB\n`);
      if (basename(file).startsWith("porchlight_")) assert.ok(sizeMB <= DOOR_MB_MAX, file);
    }
  });

  packaging("gives the same bytes from one commit, whatever the umask", () => {
    const umask = process.umask(0o077);
    const options = ["--arch", "arm64", "--name", "porchlight-cloud"];
    const [again = ""] = makePackages(join(folder.path, "two"), ...options);
    process.umask(umask);
    assert.ok(readFileSync(again).equals(readFileSync(fileOf("porchlight-cloud", "arm64"))));
  });

  packaging("a package has binaries of its own platform alone, and nothing of the other", () => {
    for (const file of files) {
      const [name = "", , arch = ""] = basename(file, ".deb").split("_");
      const root = join(folder.path, `${name}-${arch}`);
      mkdirSync(root);
      assert.is(spawnSync("dpkg-deb", ["-x", file, root]).status, 0);
      const binaries = readdirSync(root, { recursive: true, encoding: "utf8" })
        .map((path) => ({ path, machine: machineOf(join(root, path)) }))
        .filter(({ machine }) => machine !== null);
      assert.ok(binaries.length >= 7, `${binaries.length} binaries`);
      const others = binaries.filter(({ machine }) => machine !== MACHINES[arch as "amd64"]);
      assert.equal(others, []);
      assert.equal(
        readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) =>
          /\.(dll|dylib|exe|lib)$|(win32|darwin|musl)[^/]*\.node$/.test(path),
        ),
        [],
      );
      const modules = readdirSync(join(root, "usr/lib", name, "node_modules"));
      const foreign = name === "porchlight" ? CENTRE_ONLY : DEVICE_ONLY;
      assert.equal(
        foreign.filter((each) => modules.includes(each)),
        [],
      );
    }
  });

  packaging("has units, users, manual page, completion, copyright, changelog, conffiles", () => {
    const door = listed(fileOf("porchlight", "amd64"));
    const centre = listed(fileOf("porchlight-cloud", "amd64"));
    for (const path of [
      "usr/lib/systemd/system/porchlight.service",
      "usr/lib/systemd/system/porchlight-camera@.service",
      "usr/lib/tmpfiles.d/porchlight.conf",
      "usr/share/porchlight/models/default/pack.json",
    ]) {
      assert.match(door, ` ./${path}\n`);
    }
    assert.match(centre, " ./usr/lib/systemd/system/porchlight-cloud.service\n");
    for (const [name, list] of Object.entries({ porchlight: door, "porchlight-cloud": centre })) {
      for (const path of [
        `usr/bin/${name}`,
        `usr/lib/sysusers.d/${name}.conf`,
        `usr/share/man/man1/${name}.1.gz`,
        `usr/share/bash-completion/completions/${name}`,
        `usr/share/zsh/vendor-completions/_${name}`,
        `usr/share/doc/${name}/copyright`,
        `usr/share/doc/${name}/changelog.gz`,
        `etc/porchlight/${name}.yaml`,
      ]) {
        assert.match(list, ` ./${path}\n`);
      }
      assert.not.match(list, /^\S+ (?!root\/root)/m);
    }
  });

  if (needsProgram("lintian", "lintian")) {
    packaging("lintian finds no error", () => {
      for (const file of files) {
        const { status, stdout } = spawnSync(
          "lintian",
          ["--allow-root", "--fail-on", "error", file],
          { encoding: "utf8" },
        );
        assert.is(status, 0, stdout);
      }
    });
  }
}

/** For which processor an ELF file is; null for another kind of file. */
function machineOf(path: string): number | null {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return null;
  const head = Buffer.alloc(20);
  const file = openSync(path, "r");
  readSync(file, head);
  closeSync(file);
  return head.subarray(0, 4).toString("latin1") === "\x7fELF" ? head.readUInt16LE(18) : null;
}

packaging.run();
