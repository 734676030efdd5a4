import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { needs, needsProgram } from "./needs.ts";

/** A Debian root folder is made once and kept: 40 s, 240 MB. A new number makes a new one. */
const CACHE = join(homedir(), ".cache/porchlight-tests/bookworm-1");
const PACKAGES = "systemd,systemd-sysv,dbus";
/** Debian's own name for its nearest mirror. */
const MIRROR = "http://deb.debian.org/debian";
const BOOT_TIMEOUT_MS = 240_000;

export function needsMachine(): boolean {
  return (
    needs(process.getuid?.() === 0, "the right to boot a container", "run the tests as root") &&
    needsProgram("debootstrap", "debootstrap") &&
    needsProgram("systemd-nspawn", "systemd-container")
  );
}

/** A root folder of its own, with this Node in it. */
export function debianRoot(folder: string): string {
  if (!existsSync(CACHE)) {
    mkdirSync(join(CACHE, ".."), { recursive: true });
    rmSync(`${CACHE}.new`, { recursive: true, force: true });
    const arguments_ = ["--variant=minbase", `--include=${PACKAGES}`, "bookworm", `${CACHE}.new`];
    const made = spawnSync("debootstrap", [...arguments_, MIRROR], { encoding: "utf8" });
    if (made.status !== 0) throw new Error(`debootstrap: ${made.stdout.slice(-2_000)}`);
    renameSync(`${CACHE}.new`, CACHE);
  }
  const root = join(folder, "root");
  const copied = spawnSync("cp", ["-a", "--reflink=auto", CACHE, root]);
  if (copied.status !== 0) throw new Error(copied.stderr.toString());
  cpSync(process.execPath, join(root, "usr/bin/node"));
  return root;
}

/**
 * Boots the root folder without a network, runs the script once `after` is up, and powers off.
 * Gives what the container printed while it booted.
 */
export function bootAndRun(root: string, after: string, script: string): string {
  const unit = `[Unit]\nAfter=${after}\nWants=${after}\n[Service]\nType=oneshot\n`;
  const run = "ExecStart=/bin/sh /probe.sh\nExecStopPost=/bin/systemctl --no-block poweroff\n";
  writeFileSync(join(root, "probe.sh"), script);
  writeFileSync(join(root, "etc/systemd/system/probe.service"), `${unit}${run}`);
  const wants = join(root, "etc/systemd/system/multi-user.target.wants");
  mkdirSync(wants, { recursive: true });
  spawnSync("ln", ["-sf", "../probe.service", join(wants, "probe.service")]);
  const options = ["-q", "--register=no", "--keep-unit", "-D", root, "-b", "--private-network"];
  const booted = spawnSync("systemd-nspawn", [...options, "systemd.unified_cgroup_hierarchy=0"], {
    encoding: "utf8",
    timeout: BOOT_TIMEOUT_MS,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return `${booted.stdout}${booted.stderr}`;
}
