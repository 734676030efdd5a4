import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const launcher = suite("the installed command");
const folder = tempFolder("launcher");
const at = (name: string): string => join(folder.path, name);
const SECRET = "Ada Secretname";

launcher.before(() => {
  for (const name of ["bin", "store", "run"]) mkdirSync(at(name));
  for (const key of ["log-key", "vault-key", "sync-bundle"])
    writeFileSync(at(`store/porchlight.${key}`), "");
  const program = readFileSync("systemd/launcher", "utf8")
    .replace("store=/etc/credstore.encrypted", `store=${at("store")}`)
    .replace("runtime=/run", `runtime=${at("run")}`)
    .replace("node=/usr/lib/porchlight/bin/node", `node=${at("bin/node")}`);
  writeFileSync(at("porchlight"), program);
  // Records what systemd-run(1) would be told, a line a word, and what the credential holds.
  writeFileSync(
    at("bin/systemd-run"),
    `#!/bin/sh
for word; do echo "$word"; done >${at("told")}
for word; do case "$word" in --property=LoadCredential=arguments:*) cp "\${word#*arguments:}" ${at("words")}; esac; done
`,
  );
  writeFileSync(at("bin/node"), `#!/bin/sh\nfor word; do echo "$word"; done >${at("told")}\n`);
  writeFileSync(at("bin/id"), `#!/bin/sh\necho "$FAKE_UID"\n`);
  for (const name of readdirSync(at("bin"))) chmodSync(at(`bin/${name}`), 0o755);
});
launcher.after(() => folder.remove());

function typed(words: readonly string[], uid = "0") {
  const { status, stderr } = spawnSync("sh", [at("porchlight"), ...words], {
    encoding: "utf8",
    cwd: folder.path,
    env: { PATH: `${at("bin")}:${process.env["PATH"]}`, FAKE_UID: uid },
  });
  assert.is(status, 0, stderr);
  const told = readFileSync(at("told"), "utf8").trim().split("\n");
  const values = (name: string): string[] =>
    told
      .filter((word) => word.startsWith(`--property=${name}=`))
      .map((word) => word.slice(`--property=${name}=`.length));
  return {
    told,
    values,
    keys: values("LoadCredentialEncrypted").map((value) => value.split(":")[0]),
  };
}

/** Settings of the daemon's sandbox that hold for its owner's commands too. */
const SANDBOX = [
  "PrivateNetwork",
  "IPAddressDeny",
  "RestrictAddressFamilies",
  "ProtectSystem",
  "PrivateMounts",
  "DevicePolicy",
  "DeviceAllow",
  "NoNewPrivileges",
  "CapabilityBoundingSet",
  "PrivateUsers",
  "ProtectProc",
  "ProtectClock",
  "ProtectHostname",
  "ProtectKernelLogs",
  "ProtectKernelModules",
  "ProtectKernelTunables",
  "ProtectControlGroups",
  "RestrictNamespaces",
  "RestrictRealtime",
  "RestrictSUIDSGID",
  "LockPersonality",
  "KeyringMode",
  "SystemCallArchitectures",
  "SystemCallErrorNumber",
  "LimitCORE",
  "UMask",
];

launcher("an owner's command has both keys, the daemon's sandbox and no network", () => {
  const unit = readFileSync("systemd/porchlight.service", "utf8");
  for (const words of [["enroll", SECRET, "photos"], ["people", "list"], ["status"], []]) {
    const { told, values, keys } = typed(words);
    for (const name of SANDBOX) {
      const wanted = [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(
        ([, value]) => value,
      );
      assert.equal(values(name).sort(), wanted.sort(), `${words.join(" ")}: ${name}`);
    }
    assert.equal(values("User"), ["porchlight"]);
    assert.equal(keys, ["log-key", "vault-key"]);
    const [allowed, ...refused] = values("SystemCallFilter");
    assert.is(allowed, "@system-service", "what is allowed comes first");
    assert.equal(
      refused
        .join(" ")
        .split(" ")
        .filter((word) => word.includes("@"))
        .sort(),
      ["@mount", "~@privileged", "~@resources"],
    );
    assert.ok(told.includes("--description=Porchlight: a command of its owner"));
  }
});

launcher("no word that was typed is in an argument, and all of them arrive", () => {
  const words = ["enroll", SECRET, "a b", "", "line\nbreak", "'\"$HOME`"];
  const { told } = typed(words);
  assert.not.ok(told.join("\n").includes(SECRET));
  assert.not.ok(told.join("\n").includes("enroll"));
  assert.is(told.at(-1), "@arguments");
  assert.equal(readFileSync(at("words"), "utf8").split("\0").slice(0, -1), words);
  const [name = ""] = readdirSync(at("run"));
  assert.is(statSync(at(`run/${name}`)).mode & 0o777, 0o600);
  assert.ok(told.some((word) => word.startsWith("--property=ExecStopPost=+/bin/rm -f")));
});

launcher("what has the network has no key of the store, and cannot look into it", () => {
  const pull = typed(["models", "pull", "opencv"]);
  assert.equal(pull.keys, []);
  assert.equal(pull.values("User"), []);
  assert.match(pull.values("InaccessiblePaths").join(" "), "vault");
  assert.equal(pull.values("PrivateNetwork"), []);
  const run = typed(["sync", "run", "--until-acked"]);
  assert.equal(run.keys, ["sync-bundle"]);
  assert.equal(run.values("User"), ["porchlight-sync"]);
  const join = typed(["sync", "join", "front.bundle"]);
  assert.equal(join.keys, ["log-key"]);
  assert.equal(join.values("PrivateNetwork"), ["yes"]);
  for (const { values } of [pull, run, join]) {
    assert.equal(values("ProtectSystem"), ["strict"]);
    assert.equal(values("NoNewPrivileges"), ["yes"]);
  }
});

launcher("anybody else's command, and install, run as they are", () => {
  assert.equal(typed(["people", "list"], "1000").told.slice(1), ["people", "list"]);
  assert.equal(typed(["install", "--keys"]).told.slice(1), ["install", "--keys"]);
  assert.ok(existsSync(at("told")));
});

launcher.run();
