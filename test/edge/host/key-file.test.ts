import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { keySources } from "../../../edge/config/paths.ts";
import { deviceConfigSchema } from "../../../edge/config/schema.ts";
import { createKeyFile, type KeySources, keyPath, readKey } from "../../../edge/host/key-file.ts";
import { EXIT } from "../../../shared/core/errors.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const keys = suite("a key file");

interface Setting {
  readonly folder: string;
  readonly sources: KeySources;
  remove(): void;
}

/** A folder with a key in each of the three places, each of its own byte. */
function setting(): Setting {
  const { path: folder, remove } = tempFolder("keys");
  const credentialsDirectory = join(folder, "credentials");
  mkdirSync(credentialsDirectory);
  const sources = {
    credentialsDirectory,
    environmentFile: join(folder, "from-environment"),
    configuredFile: join(folder, "configured"),
  };
  write(join(credentialsDirectory, "log-key"), "aa".repeat(32));
  write(sources.environmentFile, "bb".repeat(32));
  write(sources.configuredFile, "cc".repeat(32));
  return { folder, sources, remove };
}

function write(path: string, content: string | Buffer, mode = 0o600): void {
  writeFileSync(path, content);
  chmodSync(path, mode);
}

keys("is systemd's credential first, then the variable's, then the configured one", () => {
  const { sources, remove } = setting();
  const first = (given: KeySources): number | undefined => readKey("log-key", given)[0];
  assert.is(first(sources), 0xaa);
  assert.is(first({ ...sources, credentialsDirectory: undefined }), 0xbb);
  const configured = { ...sources, credentialsDirectory: undefined, environmentFile: undefined };
  assert.is(first(configured), 0xcc);
  remove();
});

keys("a credential folder without this key gives way to the next place", () => {
  const { sources, remove } = setting();
  assert.is(readKey("vault-key", sources)[0], 0xbb);
  assert.is(keyPath("vault-key", sources), sources.environmentFile);
  remove();
});

keys(
  "a variable that names a missing file fails; the configured key is not taken instead",
  async () => {
    const { sources, folder, remove } = setting();
    const environmentFile = join(folder, "mistyped");
    const wrong = { ...sources, credentialsDirectory: undefined, environmentFile };
    const error = await rejects(() => readKey("log-key", wrong), "key.missing");
    assert.match(error.message, "mistyped");
    assert.is(error.exitCode, EXIT.config);
    remove();
  },
);

keys("its sources are the variables and settings of its own name", () => {
  const environment = {
    CREDENTIALS_DIRECTORY: "/run/credentials",
    PORCHLIGHT_LOG_KEY_FILE: "/keys/one",
    PORCHLIGHT_VAULT_KEY_FILE: "/keys/other",
  };
  const config = deviceConfigSchema.parse({ data: "/d", keys: { vault: "/configured" } });
  assert.equal(keySources("log-key", config, environment), {
    credentialsDirectory: "/run/credentials",
    environmentFile: "/keys/one",
    configuredFile: "/d/keys/log-key",
  });
  const vault = keySources("vault-key", config, environment);
  assert.is(vault.environmentFile, "/keys/other");
  assert.is(vault.configuredFile, "/configured");
});

keys("that anybody else may read, write or enter is refused, and the hint mends it", async () => {
  const { sources, remove } = setting();
  const only = { ...sources, credentialsDirectory: undefined, environmentFile: undefined };
  for (const mode of [0o640, 0o604, 0o620, 0o601, 0o610, 0o644, 0o777]) {
    chmodSync(only.configuredFile, mode);
    const error = await rejects(() => readKey("log-key", only), "key.exposed");
    assert.is(error.hint, `chmod 600 ${only.configuredFile}`);
    assert.is(error.exitCode, EXIT.config);
  }
  chmodSync(only.configuredFile, 0o400);
  assert.is(readKey("log-key", only)[0], 0xcc);
  remove();
});

keys("of systemd may have systemd's mode: its folder is private to the service", () => {
  const { sources, remove } = setting();
  chmodSync(join(sources.credentialsDirectory ?? "", "log-key"), 0o440);
  assert.is(readKey("log-key", sources)[0], 0xaa);
  remove();
});

keys("holds 64 hex digits or 32 raw bytes", () => {
  const { sources, remove } = setting();
  const only = { ...sources, credentialsDirectory: undefined, environmentFile: undefined };
  const key = randomBytes(32);
  for (const content of [key, key.toString("hex"), ` ${key.toString("hex").toUpperCase()}\r\n`]) {
    write(only.configuredFile, content);
    assert.equal(readKey("log-key", only), key);
  }
  remove();
});

keys("of any other length or alphabet is refused, and not shown", async () => {
  const { sources, remove } = setting();
  const only = { ...sources, credentialsDirectory: undefined, environmentFile: undefined };
  const wrong = ["", "a", "5e".repeat(31), "5e".repeat(33), `${"5e".repeat(31)}zz`];
  for (const content of [...wrong, randomBytes(31), randomBytes(33), randomBytes(64)]) {
    write(only.configuredFile, content);
    const error = await rejects(() => readKey("log-key", only), "key.malformed");
    assert.not.match(error.message, "5e5e");
    assert.ok(error.hint);
  }
  remove();
});

keys("is made for its owner alone, each time another, and never over an older one", () => {
  const { path: folder, remove } = tempFolder("keys");
  const umask = process.umask(0);
  const [one, other] = [join(folder, "one"), join(folder, "other")];
  createKeyFile(one);
  createKeyFile(other);
  process.umask(umask);
  assert.is(statSync(one).mode & 0o777, 0o600);
  assert.is.not(readFileSync(one, "utf8"), readFileSync(other, "utf8"));
  const before = readFileSync(one, "utf8");
  assert.throws(() => createKeyFile(one), /is there already, and is not overwritten/);
  assert.is(readFileSync(one, "utf8"), before);
  remove();
});

keys.run();
