import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { credentialPath, encryptCredential, makeKeys } from "../../../edge/install/credentials.ts";
import { needs, needsProgram } from "../../support/needs.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const secrets = suite("credentials");
const folder = tempFolder("credentials");
secrets.after(() => folder.remove());
const MODULE = fileURLToPath(new URL("../../../edge/install/credentials.ts", import.meta.url));

/** Whether this machine has a key that systemd encrypts with: root makes it. */
function canEncrypt(): boolean {
  if (!needsProgram("systemd-creds", "systemd")) return false;
  const { status } = spawnSync("systemd-creds", ["encrypt", "--name=try", "-", "-"], {
    input: "x",
  });
  return needs(status === 0, "a key of this machine", "run as root");
}

if (canEncrypt()) {
  secrets("opens as what it was made of, and for its own name alone", () => {
    const path = credentialPath(folder.path, "log-key");
    const secret = randomBytes(32);
    encryptCredential(path, "log-key", secret);
    const opened = spawnSync("systemd-creds", ["decrypt", "--name=log-key", path, "-"]);
    assert.equal(opened.stdout, secret);
    assert.not(readFileSync(path).includes(secret));
    const other = spawnSync("systemd-creds", ["decrypt", "--name=vault-key", path, "-"]);
    assert.is.not(other.status, 0);
    assert.equal(readdirSync(folder.path), ["porchlight.log-key"]);
  });

  secrets(
    "is on the disk before it has its name, and its name before anything is made of it",
    () => {
      if (!needsProgram("strace", "strace")) return;
      const path = credentialPath(join(folder.path, "synced"), "vault-key");
      const trace = join(folder.path, "trace");
      const program = `import { encryptCredential } from ${JSON.stringify(MODULE)};
encryptCredential(${JSON.stringify(path)}, "vault-key", Buffer.alloc(32, 7));`;
      const args = ["-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat2", "-o", trace];
      const ran = spawnSync("strace", [
        ...args,
        ...[process.execPath, "--input-type=module", "-e", program],
      ]);
      assert.is(ran.status, 0, String(ran.stderr));
      const calls = readFileSync(trace, "utf8").split("\n");
      const at = (wanted: RegExp): number => calls.findIndex((call) => wanted.test(call));
      const file = at(/sync\(.*vault-key\.new/);
      const named = at(/rename.*vault-key\.new.*vault-key"/);
      const folderSync = calls.findLastIndex(
        (call) => /sync\(/.test(call) && call.includes(`${dirname(path)}>`),
      );
      assert.ok(file !== -1 && file < named && named < folderSync, calls.join("\n"));
    },
  );

  secrets("a key that is there is never made again; half a one of before is no obstacle", () => {
    const place = join(folder.path, "keys");
    assert.is(makeKeys(place).length, 2);
    const path = credentialPath(place, "log-key");
    const before = readFileSync(path);
    writeFileSync(`${path}.new`, "half");
    assert.equal(makeKeys(place), []);
    assert.equal(readFileSync(path), before);
    assert.ok(existsSync(credentialPath(place, "vault-key")));
  });
}

secrets.run();
