import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { MEMORY_ENVIRONMENT } from "../../edge/host/memory-environment.ts";
import { porchlight, startDaemon } from "../support/cli.ts";
import { needsProgram } from "../support/needs.ts";
import { bundledPeople, writeScenes } from "../support/people.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

/** Highest exposure that systemd-analyze(1) may find: its levels, from 0 to 10. */
const EXPOSURE_MAX = {
  "porchlight.service": 0.6,
  "porchlight-camera@.service": 1.5,
  "porchlight-sync.service": 1.5,
  "porchlight-keys.service": 1.5,
  "porchlight-cloud.service": 1.5,
} as const;

const units = suite("systemd units");
const hasAnalyze = needsProgram("systemd-analyze", "systemd");
const hasNotify = needsProgram("systemd-notify", "systemd");

/** The values of a setting, in order of appearance. */
function settings(unit: string, name: string): string[] {
  const text = readFileSync(`systemd/${unit}`, "utf8");
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value]) => value ?? "");
}

if (hasAnalyze) {
  for (const [unit, most] of Object.entries(EXPOSURE_MAX)) {
    units(`${unit} is exposed to ${most} at the most`, () => {
      const threshold = String(Math.round(most * 10));
      const args = ["security", "--offline=yes", `--threshold=${threshold}`, "--no-pager"];
      const { status, stdout } = spawnSync("systemd-analyze", [...args, `systemd/${unit}`], {
        encoding: "utf8",
      });
      const overall = /Overall exposure level for .*: ([\d.]+)/.exec(stdout)?.[1];
      assert.ok(Number(overall) <= most, `exposure ${overall}`);
      assert.is(status, 0);
    });
  }
}

units("no unit may make a ring, whose calls no filter sees", () => {
  for (const unit of Object.keys(EXPOSURE_MAX)) {
    const [refused] = settings(unit, "SystemCallFilter").slice(-1);
    assert.is(refused, "~io_uring_setup io_uring_enter io_uring_register", unit);
    assert.equal(settings(unit, "SystemCallErrorNumber"), ["EPERM"], unit);
  }
});

units("the daemon has no network in any configuration, and the camera no key of the store", () => {
  assert.equal(settings("porchlight.service", "PrivateNetwork"), ["yes"]);
  assert.equal(settings("porchlight.service", "RestrictAddressFamilies"), ["AF_UNIX"]);
  assert.equal(settings("porchlight-camera@.service", "IPAddressDeny"), ["any"]);
  const secrets = settings("porchlight-camera@.service", "LoadCredentialEncrypted");
  assert.is(secrets.length, 1);
  assert.match(secrets[0] ?? "", /^camera-url:/);
  assert.not.equal(settings("porchlight-camera@.service", "User"), ["porchlight"]);
});

units("the agent has the network, and of the store only what is sealed: no key, no log", () => {
  const secrets = settings("porchlight-sync.service", "LoadCredentialEncrypted");
  assert.equal(
    secrets.map((secret) => secret.split(":")[0]),
    ["sync-bundle"],
  );
  assert.equal(settings("porchlight-sync.service", "BindPaths"), []);
  const readable = settings("porchlight-sync.service", "BindReadOnlyPaths").join(" ").split(" ");
  assert.equal(
    readable.filter((path) => path.includes("/var/")),
    ["/var/lib/porchlight/media"],
  );
  assert.match(settings("porchlight-sync.service", "TemporaryFileSystem")[0] ?? "", "/var:ro");
  assert.equal(settings("porchlight-sync.service", "PrivateDevices"), ["yes"]);
  assert.equal(settings("porchlight-sync.service", "User"), ["porchlight-sync"]);
  assert.equal(settings("porchlight-sync.service", "Group"), ["porchlight-sync"]);
  assert.not.match(readFileSync("systemd/sysusers.conf", "utf8"), "m porchlight-sync");
  const folders = readFileSync("systemd/tmpfiles.conf", "utf8");
  assert.match(folders, "d /var/lib/porchlight/vault 0700 porchlight porchlight");
  assert.match(folders, "d /var/lib/porchlight/log 0700 porchlight porchlight");
});

units("what was measured to break or slow the daemon is in no unit of it", () => {
  assert.equal(settings("porchlight.service", "MemoryDenyWriteExecute"), []);
  assert.equal(settings("porchlight.service", "ProcSubset"), []);
  assert.equal(settings("porchlight.service", "SystemCallErrorNumber"), ["EPERM"]);
});

units("the daemon's memory is bounded in the unit as by the start command", () => {
  const environment = settings("porchlight.service", "Environment").join(" ").split(" ");
  for (const [name, value] of Object.entries(MEMORY_ENVIRONMENT)) {
    assert.ok(environment.includes(`${name}=${value}`), name);
  }
});

/** Prints each datagram that comes to a Unix socket. Node has no such sockets. */
const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode().replace("\\n", " "), flush=True)
`;

if (hasNotify && needsProgram("python3", "python3")) {
  units("systemd hears that it is ready, that frames are decided, and that it stops", async () => {
    const folder = tempFolder("notify");
    const people = await bundledPeople();
    await writeScenes(people.slice(0, 1), join(folder.path, "scenes"), 2);
    const config = join(folder.path, "porchlight.yaml");
    const camera = `{kind: files, name: door, paths: [${folder.path}/scenes], loop: true, framesPerSecond: 5}`;
    writeFileSync(config, `data: ${folder.path}/data\ncamera: ${camera}\n`);
    await porchlight(["init", "--data", join(folder.path, "data")]);

    const socket = join(folder.path, "notify");
    const receiver = spawn("python3", ["-c", RECEIVER, socket]);
    const heard: string[] = [];
    receiver.stdout.setEncoding("utf8").on("data", (text: string) => {
      heard.push(...text.trim().split("\n"));
    });
    const hears = async (words: string): Promise<void> => {
      for (let i = 0; i < 600 && !heard.some((line) => line.includes(words)); i++) await sleep(50);
      assert.ok(
        heard.some((line) => line.includes(words)),
        `${words} in: ${heard.join(" | ")}`,
      );
    };
    await hears("bound");
    const systemd = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "2000000" };
    const daemon: ChildProcess = startDaemon(["--config", config], systemd);
    daemon.stdout?.resume();
    daemon.stderr?.resume();
    try {
      await hears("READY=1");
      await hears("WATCHDOG=1");
      await hears("STATUS=");
      daemon.kill("SIGTERM");
      await once(daemon, "close");
      await hears("STOPPING=1");
    } finally {
      daemon.kill("SIGKILL");
      receiver.kill("SIGKILL");
      await once(receiver, "close");
      folder.remove();
    }
    const at = (words: string): number => heard.findIndex((line) => line.includes(words));
    assert.ok(at("READY=1") < at("WATCHDOG=1"));
  });
}

units.run();
