import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { needs, needsProgram } from "./needs.ts";

/** Debian 12 and 13. */
export type Release = "bookworm" | "trixie";

/** What our packages depend on is there already: what is booted has no network. */
const PACKAGES = "systemd,systemd-sysv,dbus,libatomic1,libstdc++6";
/** Debian's own name for its nearest mirror. */
const MIRROR = "http://deb.debian.org/debian";
const BOOT_TIMEOUT_MS = 240_000;
/**
 * Without a unified hierarchy of the machine around it there is none inside, which systemd 256 and
 * newer take only when they are told twice.
 */
const BOOT = ["systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"];

export function needsMachine(): boolean {
  return (
    needs(process.getuid?.() === 0, "the right to boot a container", "run the tests as root") &&
    needsProgram("debootstrap", "debootstrap") &&
    needsProgram("systemd-nspawn", "systemd-container")
  );
}

/** A root folder of its own. */
export function debianRoot(folder: string, release: Release = "bookworm"): string {
  const root = join(folder, "root");
  const copied = spawnSync("cp", ["-a", "--reflink=auto", cachedRoot(release), root]);
  if (copied.status !== 0) throw new Error(copied.stderr.toString());
  return root;
}

/** A Debian root folder is made once and kept: 40 s, 240 MB. A new number makes a new one. */
function cachedRoot(release: Release): string {
  const cache = join(homedir(), `.cache/porchlight-tests/${release}-2`);
  if (existsSync(cache)) return cache;
  mkdirSync(join(cache, ".."), { recursive: true });
  rmSync(`${cache}.new`, { recursive: true, force: true });
  const options = ["--variant=minbase", `--include=${PACKAGES}`];
  const made = spawnSync("debootstrap", [...options, release, `${cache}.new`, MIRROR], {
    encoding: "utf8",
  });
  if (made.status !== 0) throw new Error(`debootstrap: ${made.stdout.slice(-2_000)}`);
  renameSync(`${cache}.new`, cache);
  return cache;
}

export interface BootOptions {
  readonly timeoutMs?: number;
  /** A folder that is /packages inside, to be read. */
  readonly packages?: string;
}

/**
 * Boots the root folder without a network, runs the script once `after` is up, and powers off.
 * Gives what the container printed while it booted.
 */
export function bootAndRun(
  root: string,
  after: string,
  script: string,
  { timeoutMs = BOOT_TIMEOUT_MS, packages }: BootOptions = {},
): string {
  const unit = `[Unit]\nAfter=${after}\nWants=${after}\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\n`;
  const run = "ExecStart=/bin/sh /probe.sh\nExecStopPost=/bin/systemctl --no-block poweroff\n";
  writeFileSync(join(root, "probe.sh"), script);
  writeFileSync(join(root, "etc/systemd/system/probe.service"), `${unit}${run}`);
  const wants = join(root, "etc/systemd/system/multi-user.target.wants");
  mkdirSync(wants, { recursive: true });
  spawnSync("ln", ["-sf", "../probe.service", join(wants, "probe.service")]);
  const options = ["-q", "--register=no", "--keep-unit", "-D", root, "-b", "--private-network"];
  if (packages !== undefined) options.push(`--bind-ro=${packages}:/packages`);
  const booted = spawnSync("systemd-nspawn", [...options, ...BOOT], {
    encoding: "utf8",
    timeout: timeoutMs,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return `${booted.stdout}${booted.stderr}`;
}
