/** Puts program, units, users and configuration in place: on this machine, or in an image's root. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { CONFIG_VERSION } from "../config/schema.ts";
import { replaceFile } from "../host/atomic-file.ts";
import { CREDENTIAL_PREFIX } from "./credentials.ts";
import { CAMERA_UNIT, DAEMON_UNIT, type Layout, SYNC_UNIT, UNITS } from "./layout.ts";
import { copyProgram } from "./program.ts";

export interface InstallRequest {
  readonly layout: Layout;
  /** The folder of the program that installs itself. */
  readonly from: string;
  /** The folder of the model packs it uses; all of them go along. */
  readonly models: string;
  /** The Node.js of its own, on which the units run. */
  readonly node: string;
}

/** What the owner finds: also the configuration file of the Debian package. */
export const CONFIG = `# Every setting with its default: porchlight config schema
version: ${CONFIG_VERSION}
data: /var/lib/porchlight
models: {directory: /var/lib/porchlight/models}
# camera:
#   kind: libcamera      # Raspberry Pi; gstreamer (Jetson), ffmpeg (USB), socket (network camera)
#   name: front-door
`;

const OURS = /^porchlight(-keys|-sync|-camera@[a-z0-9-]*)?\.service(\.d)?$/;

/** Can be run again: an update replaces the program and the units, never the owner's files. */
export function install({ layout, from, models, node }: InstallRequest): void {
  // Whoever installs may have a looser one: nobody else may write into the program.
  const umask = process.umask(0o022);
  try {
    placeAll({ layout, from, models, node });
  } finally {
    process.umask(umask);
  }
}

function placeAll({ layout, from, models, node }: InstallRequest): void {
  if (from !== layout.program) copyProgram(from, layout.program, node);
  const source = join(layout.program, "systemd");
  for (const unit of UNITS) {
    place(join(layout.units, unit), readFileSync(join(source, unit), "utf8"));
  }
  placeJetson(layout, source);
  place(layout.launcher, readFileSync(join(source, "launcher"), "utf8"), 0o755);
  place(layout.sysusers, readFileSync(join(source, "sysusers.conf"), "utf8"));
  place(layout.tmpfiles, readFileSync(join(source, "tmpfiles.conf"), "utf8"));
  if (!existsSync(layout.config)) place(layout.config, CONFIG);
  if (models !== layout.models && !existsSync(layout.models)) {
    cpSync(models, layout.models, { recursive: true, verbatimSymlinks: true });
  }
  enable(layout, DAEMON_UNIT, DAEMON_UNIT);
  // It waits for the bundle of a centre, and does nothing before.
  enable(layout, SYNC_UNIT, SYNC_UNIT);
}

/** A Jetson's camera and encoder need more of the machine than any other's. */
function placeJetson({ units, jetsonRelease }: Layout, source: string): void {
  if (!existsSync(jetsonRelease)) return;
  const file = join(units, `${DAEMON_UNIT}.d`, "jetson.conf");
  place(file, readFileSync(join(source, "jetson.conf"), "utf8"));
}

/** Takes away what install placed. The store, its keys and the configuration only with `purge`. */
export function uninstall(layout: Layout, purge: boolean): void {
  for (const folder of [layout.wanted, layout.units]) {
    const there = existsSync(folder) ? readdirSync(folder) : [];
    // Also the drop-ins of network cameras.
    for (const name of there.filter((each) => OURS.test(each))) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
  for (const file of [layout.launcher, layout.sysusers, layout.tmpfiles]) {
    rmSync(file, { force: true });
  }
  rmSync(layout.program, { recursive: true, force: true });
  if (!purge) return;
  // The keys, the bundle of a centre, and the address and password of each network camera.
  const credentials = existsSync(layout.credentials) ? readdirSync(layout.credentials) : [];
  for (const name of credentials.filter((each) => each.startsWith(CREDENTIAL_PREFIX))) {
    rmSync(join(layout.credentials, name), { force: true });
  }
  for (const folder of [layout.state, layout.cameras, layout.feed]) {
    rmSync(folder, { recursive: true, force: true });
  }
  rmSync(dirname(layout.config), { recursive: true, force: true });
}

/** Lets the unit of one network camera speak to one address, and starts it at boot. */
export function placeCamera(layout: Layout, name: string, address: string): void {
  const instance = CAMERA_UNIT.replace("@", `@${name}`);
  const words = `[Service]\nIPAddressAllow=${address}\n`;
  place(join(layout.units, `${instance}.d`, "address.conf"), words);
  enable(layout, instance, CAMERA_UNIT);
}

function place(path: string, content: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  replaceFile(path, content, { mode });
}

/** What `systemctl enable` does, also where no systemd runs. */
function enable({ wanted, units, packageUnits }: Layout, unit: string, target: string): void {
  mkdirSync(wanted, { recursive: true });
  rmSync(join(wanted, unit), { force: true });
  const place = existsSync(join(units, target)) ? ".." : packageUnits;
  symlinkSync(`${place}/${target}`, join(wanted, unit));
}
