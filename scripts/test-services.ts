/**
 * Installs the Debian packages that the tests start as real servers and programs, and builds what
 * Debian does not have. Does nothing when they are there. `--full` adds what the long stories need (npm run test:full).
 * Without root or sudo, or off Debian, says what to install; those tests are then skipped aloud.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { buildServices } from "./build-services.ts";

interface Need {
  readonly debianPackage: string;
  /** A file of the package. */
  readonly file: string;
  readonly full?: true;
}

const NEEDS: readonly Need[] = [
  { debianPackage: "ffmpeg", file: "/usr/bin/ffmpeg" },
  { debianPackage: "strace", file: "/usr/bin/strace" },
  { debianPackage: "python3", file: "/usr/bin/python3" },
  { debianPackage: "iproute2", file: "/usr/sbin/ip" },
  { debianPackage: "systemd", file: "/usr/bin/systemd-analyze" },
  { debianPackage: "gstreamer1.0-tools", file: "/usr/bin/gst-launch-1.0" },
  { debianPackage: "gstreamer1.0-plugins-base", file: "/usr/share/doc/gstreamer1.0-plugins-base" },
  { debianPackage: "gstreamer1.0-plugins-good", file: "/usr/share/doc/gstreamer1.0-plugins-good" },
  { debianPackage: "gstreamer1.0-rtsp", file: "/usr/share/doc/gstreamer1.0-rtsp" },
  {
    debianPackage: "gir1.2-gst-rtsp-server-1.0",
    file: "/usr/share/doc/gir1.2-gst-rtsp-server-1.0",
  },
  { debianPackage: "python3-gi", file: "/usr/share/doc/python3-gi" },
  { debianPackage: "openssl", file: "/usr/bin/openssl" },
  { debianPackage: "mosquitto", file: "/usr/sbin/mosquitto" },
  { debianPackage: "postgresql-15", file: "/usr/lib/postgresql/15/bin/postgres" },
  { debianPackage: "pgbouncer", file: "/usr/sbin/pgbouncer" },
  { debianPackage: "influxdb", file: "/usr/bin/influxd" },
  { debianPackage: "victoria-metrics", file: "/usr/bin/victoria-metrics" },
  { debianPackage: "python3-venv", file: "/usr/share/doc/python3-venv" },
  { debianPackage: "man-db", file: "/usr/bin/man" },
  { debianPackage: "zsh", file: "/usr/bin/zsh" },
  { debianPackage: "pgbackrest", file: "/usr/bin/pgbackrest", full: true },
  { debianPackage: "debootstrap", file: "/usr/sbin/debootstrap", full: true },
  { debianPackage: "maven", file: "/usr/bin/mvn", full: true },
  {
    debianPackage: "openjdk-17-jdk-headless",
    file: "/usr/share/doc/openjdk-17-jdk-headless",
    full: true,
  },
  { debianPackage: "systemd-container", file: "/usr/bin/systemd-nspawn", full: true },
  { debianPackage: "lintian", file: "/usr/bin/lintian", full: true },
  { debianPackage: "qemu-user-static", file: "/usr/bin/qemu-aarch64-static", full: true },
  // Their packages bring each library of arm64 as a file of this machine.
  ...[
    ["libc6-arm64-cross", "libc.so.6"],
    ["libstdc++6-arm64-cross", "libstdc++.so.6"],
    ["libatomic1-arm64-cross", "libatomic.so.1"],
  ].map(([debianPackage = "", library]) => ({
    debianPackage,
    file: `/usr/aarch64-linux-gnu/lib/${library}`,
    full: true as const,
  })),
];

const full = process.argv.includes("--full");
const missing = NEEDS.filter((need) => (full || !need.full) && !existsSync(need.file)).map(
  ({ debianPackage }) => debianPackage,
);

/** The words before a command that needs root, or null where there is no way to it. */
function asRoot(): readonly string[] | null {
  if (process.getuid?.() === 0) return [];
  const { status } = spawnSync("sudo", ["-n", "true"], { stdio: "ignore" });
  return status === 0 ? ["sudo", "-n"] : null;
}

function apt(root: readonly string[], ...args: string[]): boolean {
  const command = [...root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", ...args];
  const [program = "", ...rest] = command;
  const { status, stdout, stderr } = spawnSync(program, rest, { encoding: "utf8" });
  if (status !== 0) process.stderr.write(`${stdout}${stderr}`);
  return status === 0;
}

if (missing.length > 0) {
  const install = ["install", "--yes", "--no-install-recommends", ...missing];
  const root = existsSync("/usr/bin/apt-get") ? asRoot() : null;
  process.stdout.write(`installing for the tests: ${missing.join(" ")}\n`);
  const done =
    root !== null && (apt(root, ...install) || (apt(root, "update") && apt(root, ...install)));
  if (!done) {
    process.stdout.write(
      `not installed; by hand: sudo apt-get install --yes ${missing.join(" ")}\n`,
    );
  }
}

buildServices(full);
