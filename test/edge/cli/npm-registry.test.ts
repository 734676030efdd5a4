import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { npmRegistry } from "../../../edge/cli/npm-registry.ts";
import { needsProgram } from "../../support/needs.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const registry = suite("the registry that npm is configured with");
const folder = tempFolder("npm-registry");
const HOME = join(folder.path, "home");
const NOWHERE = join(folder.path, "bin-empty");
for (const path of [HOME, NOWHERE]) mkdirSync(path);

registry.after(() => folder.remove());

/** Environments without npm on PATH, where its files have to be read, and with it. */
function environments(): Record<string, string>[] {
  const without = { HOME, PATH: NOWHERE };
  if (!needsProgram("npm", "npm")) return [without];
  return [without, { HOME, PATH: process.env["PATH"] ?? "" }];
}

async function asked(name: string, more: Record<string, string>, npmrc: string): Promise<string[]> {
  writeFileSync(join(HOME, ".npmrc"), npmrc);
  const answers = [];
  for (const environment of environments()) {
    answers.push((await npmRegistry(name, { ...environment, ...more })).href);
  }
  return [...new Set(answers)];
}

registry(
  "is that of the environment, then of the owner's .npmrc, with npm and without",
  async () => {
    const npmrc =
      "; mine\n  registry = https://one.invalid/npm\n@door:registry=https://two.invalid/\n";
    const inEnvironment = { npm_config_registry: "https://three.invalid/x/" };
    assert.equal(await asked("nets", inEnvironment, npmrc), ["https://three.invalid/x/"]);
    assert.equal(await asked("nets", {}, npmrc), ["https://one.invalid/npm/"]);
    assert.equal(await asked("@door/nets", {}, npmrc), ["https://two.invalid/"]);
    assert.equal(await asked("@other/nets", {}, npmrc), ["https://one.invalid/npm/"]);
    const variable = { REGISTRY_HOST: "four.invalid" };
    const quoted = 'registry="https://' + "$" + '{REGISTRY_HOST}/"\n';
    assert.equal(await asked("nets", variable, quoted), ["https://four.invalid/"]);
    const other = join(folder.path, "other-npmrc");
    writeFileSync(other, "registry=http://five.invalid/\n");
    assert.equal(await asked("nets", { npm_config_userconfig: other }, npmrc), [
      "http://five.invalid/",
    ]);
  },
);

registry("is npm's own where the owner has set none, and an npm that fails is no npm", async () => {
  writeFileSync(join(HOME, ".npmrc"), "");
  if (needsProgram("npm", "npm")) {
    const environment = { HOME, PATH: process.env["PATH"] ?? "" };
    const npm = execFileSync("npm", ["config", "get", "registry"], { env: environment, cwd: HOME });
    assert.is((await npmRegistry("nets", environment)).href, new URL(`${npm}`.trim()).href);
  }
  const broken = join(folder.path, "bin-broken");
  mkdirSync(broken);
  writeFileSync(join(broken, "npm"), "#!/bin/sh\nexit 3\n");
  chmodSync(join(broken, "npm"), 0o755);
  writeFileSync(join(HOME, ".npmrc"), "registry=https://one.invalid/\n");
  const found = await npmRegistry("nets", { HOME, PATH: `${broken}:/bin` });
  assert.is(found.href, "https://one.invalid/");
});

registry("is missed, or refused, with the command that names one and no password", async () => {
  for (const [npmrc, words] of [
    ["", "no registry"],
    ["registry=file:///etc/passwd\n", "no http(s) address"],
    ["registry=https://me:hunter2@one.invalid/\n", "holds a password"],
  ] as const) {
    writeFileSync(join(HOME, ".npmrc"), npmrc);
    const environment = { HOME, PATH: NOWHERE };
    const error = await rejects(() => npmRegistry("nets", environment), "model.registry");
    assert.ok(error.message.includes(words), error.message);
    assert.not.match(error.message, /hunter2/);
    assert.match(error.hint ?? "", /npm_config_registry=/);
    assert.is(error.exitCode, 78);
  }
});

registry.run();
