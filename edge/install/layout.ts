/** Where everything of an installed Porchlight lies, below the root folder "/" or of an image. */
import { join } from "node:path";

export interface Layout {
  /** The program: compiled files and the modules they need. Replaced whole by an update. */
  readonly program: string;
  readonly launcher: string;
  readonly units: string;
  readonly wanted: string;
  readonly sysusers: string;
  readonly tmpfiles: string;
  /** The owner's: never overwritten. */
  readonly config: string;
  readonly credentials: string;
  /** Store and model packs: never removed but by --purge. */
  readonly state: string;
  readonly models: string;
  /** Sockets of network cameras. */
  readonly cameras: string;
  /** The socket that the agent is served at. */
  readonly feed: string;
  /** Says that this is a Jetson, and which. */
  readonly jetsonRelease: string;
  /** Where a Debian package has the units; as the system itself sees it. */
  readonly packageUnits: string;
  /** What dpkg holds of the Debian package of that name. */
  readonly packageFiles: string;
}

export function layoutOf(root: string): Layout {
  const at = (path: string): string => join(root, path);
  return {
    program: at("/usr/lib/porchlight"),
    launcher: at("/usr/bin/porchlight"),
    units: at("/etc/systemd/system"),
    wanted: at("/etc/systemd/system/multi-user.target.wants"),
    sysusers: at("/usr/lib/sysusers.d/porchlight.conf"),
    tmpfiles: at("/usr/lib/tmpfiles.d/porchlight.conf"),
    config: at("/etc/porchlight/porchlight.yaml"),
    credentials: at("/etc/credstore.encrypted"),
    state: at("/var/lib/porchlight"),
    models: at("/var/lib/porchlight/models"),
    cameras: at("/run/porchlight-camera"),
    feed: at("/run/porchlight-feed"),
    jetsonRelease: at("/etc/nv_tegra_release"),
    packageUnits: "/usr/lib/systemd/system",
    packageFiles: at("/var/lib/dpkg/info/porchlight.list"),
  };
}

export const DAEMON_UNIT = "porchlight.service";
export const CAMERA_UNIT = "porchlight-camera@.service";
export const SYNC_UNIT = "porchlight-sync.service";
export const UNITS = [DAEMON_UNIT, CAMERA_UNIT, SYNC_UNIT, "porchlight-keys.service"] as const;
