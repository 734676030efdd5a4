/** What device and centre promise of the files that they replace: one suite, both modules. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import * as centre from "../../cloud-sync/host/atomic-file.ts";
import * as centreSecrets from "../../cloud-sync/host/secret-file.ts";
import * as device from "../../edge/host/atomic-file.ts";
import * as deviceSecrets from "../../edge/host/secret-file.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { needsProgram } from "../support/needs.ts";
import { rejects } from "../support/rejects.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const files = suite("files that are replaced");
const folder = tempFolder("durable");
files.after(() => folder.remove());

const SIDES = {
  "edge/host": { ...device, ...deviceSecrets },
  "cloud-sync/host": { ...centre, ...centreSecrets },
};
const NAME = { credential: "log-key", code: "key", missing: "there is no key", hint: "make one" };

function fresh(name: string): string {
  const path = join(folder.path, name.replaceAll("/", "-"));
  mkdirSync(path);
  return path;
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

for (const [side, host] of Object.entries(SIDES)) {
  files(`${side}: have their mode whatever the umask is, and leave nothing beside them`, () => {
    const at = fresh(`${side}-mode`);
    for (const umask of [0, 0o077, 0o777]) {
      const before = process.umask(umask);
      host.replaceFile(join(at, "a"), `${umask}`, { mode: 0o640 });
      host.replaceSecretFile(join(at, "b"), `${umask}`);
      process.umask(before);
      assert.is(modeOf(join(at, "a")), 0o640);
      assert.is(modeOf(join(at, "b")), 0o600);
      assert.is(readFileSync(join(at, "a"), "utf8"), `${umask}`);
    }
    assert.equal(readdirSync(at).sort(), ["a", "b"]);
  });

  files(`${side}: are never written through a link that somebody has placed`, () => {
    const at = fresh(`${side}-link`);
    const victim = join(at, "victim");
    writeFileSync(victim, "precious");
    const path = join(at, "site.key");
    symlinkSync(victim, path);
    symlinkSync(victim, join(at, `.site.key.${process.pid}.new`));
    host.replaceSecretFile(path, "secret");
    assert.is(readFileSync(victim, "utf8"), "precious");
    assert.not(lstatSync(path).isSymbolicLink());
    assert.is(readFileSync(path, "utf8"), "secret");
    assert.throws(() => host.createFile(join(at, "victim"), "x", { mode: 0o600 }), /EEXIST/);
    const dangling = join(at, "dangling");
    symlinkSync(join(at, "elsewhere"), dangling);
    assert.throws(() => host.createFile(dangling, "x", { mode: 0o600 }), /EEXIST/);
    assert.not(existsSync(join(at, "elsewhere")));
  });

  files(`${side}: of the owner keep mode, owner and link`, () => {
    const at = fresh(`${side}-owner`);
    const real = join(at, "real.yaml");
    writeFileSync(real, "a: 1\n");
    chmodSync(real, 0o604);
    symlinkSync("real.yaml", join(at, "link.yaml"));
    const { uid, gid } = statSync(real);
    host.copyOnce(join(at, "link.yaml"), join(at, "link.yaml.before-2"));
    host.rewriteFile(join(at, "link.yaml"), "a: 2\n");
    host.copyOnce(join(at, "link.yaml"), join(at, "link.yaml.before-2"));
    assert.ok(lstatSync(join(at, "link.yaml")).isSymbolicLink());
    assert.is(readFileSync(real, "utf8"), "a: 2\n");
    assert.equal([modeOf(real), statSync(real).uid, statSync(real).gid], [0o604, uid, gid]);
    assert.is(
      readFileSync(join(at, "link.yaml.before-2"), "utf8"),
      "a: 1\n",
      "the first copy stays",
    );
  });

  files(`${side}: that cannot be written leave what was there, and nothing else`, () => {
    const at = fresh(`${side}-failed`);
    const path = join(at, "held");
    mkdirSync(path);
    writeFileSync(join(path, "inside"), "x");
    assert.throws(() => host.replaceFile(path, "new", { mode: 0o600 }), /EISDIR|ENOTEMPTY|EEXIST/);
    assert.equal(readdirSync(at), ["held"]);
    assert.equal(readdirSync(path), ["inside"]);
  });

  files(`${side}: are synced before their name, and their folder after it`, () => {
    if (!needsProgram("strace", "strace")) return;
    const at = fresh(`${side}-synced`);
    const code = `import { replaceFile } from ${JSON.stringify(`./${side}/atomic-file.ts`)};
      replaceFile(${JSON.stringify(join(at, "key"))}, "content", { mode: 0o600 });`;
    const trace = join(at, "trace");
    const { status, stderr } = spawnSync(
      "strace",
      [
        ...["-f", "-qq", "-y", "-e", "trace=openat,fsync,rename,renameat,renameat2,write"],
        ...["-o", trace, process.execPath, "--input-type=module-typescript", "-e", code],
      ],
      { encoding: "utf8", env: { ...process.env, UV_USE_IO_URING: "0" } },
    );
    assert.is(status, 0, stderr);
    const steps = readFileSync(trace, "utf8")
      .split("\n")
      .filter((line) => line.includes(at) && !line.includes("/trace"))
      .map((line) => {
        if (/openat\(.*\.new".*O_EXCL.*O_NOFOLLOW|openat\(.*\.new".*O_NOFOLLOW.*O_EXCL/.test(line))
          return "create";
        if (/openat\(.*\.new"/.test(line)) return "create without O_EXCL and O_NOFOLLOW";
        if (/write\(/.test(line)) return "write";
        if (/fsync\(.*\.new>/.test(line)) return "sync file";
        if (/fsync\(/.test(line)) return "sync folder";
        return /rename/.test(line) ? "rename" : null;
      })
      .filter((step) => step !== null);
    assert.equal(steps, ["create", "write", "sync file", "rename", "sync folder"]);
  });

  files(
    `${side}: a secret comes from the credential, else the variable, else the file`,
    async () => {
      const at = fresh(`${side}-secret`);
      const credentials = join(at, "credentials");
      mkdirSync(credentials);
      for (const name of ["variable", "configured"]) {
        writeFileSync(join(at, name), name, { mode: 0o600 });
      }
      writeFileSync(join(credentials, "log-key"), "credential", { mode: 0o444 });
      const all = {
        credentialsDirectory: credentials,
        environmentFile: join(at, "variable"),
        configuredFile: join(at, "configured"),
      };
      const read = (sources: deviceSecrets.SecretSources): string =>
        host.readSecret(NAME, sources).toString("utf8");
      assert.is(read(all), "credential");
      assert.is(read({ ...all, credentialsDirectory: at }), "variable");
      assert.is(read({ configuredFile: all.configuredFile }), "configured");
      const gone = await rejects(() => read({ configuredFile: join(at, "gone") }), "key.missing");
      assert.equal([gone.exitCode, gone.hint], [EXIT.config, "make one"]);
      await rejects(() => read({}), "key.missing");
      // What the variable names counts, also when it is not there: no older secret is taken instead.
      await rejects(
        () => read({ ...all, credentialsDirectory: at, environmentFile: "/gone" }),
        "key.missing",
      );
    },
  );

  files(
    `${side}: a secret that others may read is refused, and nothing of it is said`,
    async () => {
      const at = fresh(`${side}-exposed`);
      const path = join(at, "key");
      writeFileSync(path, "hush");
      for (const mode of [0o640, 0o604, 0o620, 0o644, 0o610, 0o601]) {
        chmodSync(path, mode);
        const error = await rejects(
          () => host.readSecret(NAME, { configuredFile: path }),
          "key.exposed",
        );
        assert.is(error.hint, `chmod 600 ${path}`);
        assert.not(JSON.stringify({ ...error, message: error.message }).includes("hush"));
      }
      const link = join(at, "link");
      symlinkSync(path, link);
      await rejects(() => host.readSecret(NAME, { configuredFile: link }), "key.exposed");
      writeFileSync(join(at, "large"), Buffer.alloc(2 * 1024 * 1024), { mode: 0o600 });
      await rejects(
        () => host.readSecret(NAME, { configuredFile: join(at, "large") }),
        "key.malformed",
      );
    },
  );
}

files("of both sides are the same code", () => {
  for (const name of ["atomic-file.ts", "secret-file.ts"]) {
    const bodies = ["edge", "cloud-sync"].map((side) => functionsOf(`${side}/host/${name}`));
    const common = [...(bodies[0]?.keys() ?? [])].filter((key) => bodies[1]?.has(key));
    assert.ok(common.length >= 4, common.join());
    for (const key of common)
      assert.is(bodies[0]?.get(key), bodies[1]?.get(key), `${name}: ${key}`);
  }
});

/** Each function's text, by its name. */
function functionsOf(path: string): Map<string, string> {
  const text = readFileSync(path, "utf8");
  return new Map(
    [...text.matchAll(/^(?:export )?function (\w+)[\s\S]*?^\}$/gm)].map(([body, name]) => [
      name ?? "",
      body,
    ]),
  );
}

files.run();
