/** The Debian package of a door. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG } from "../../edge/install/install.ts";
import { UNITS } from "../../edge/install/layout.ts";
import { CENTRE_ONLY } from "../../edge/install/modules.ts";
import type { PackageContent } from "./program.ts";

export const DEVICE: PackageContent = {
  name: "porchlight",
  summary: "doorbell that recognises who is at the door, on the device itself",
  description: [
    "Porchlight watches a door with a camera, decides on the device who is there, keeps faces in an encrypted store and writes everything that happens into a log that can be verified. The process that sees faces has no network; the process that has the network cannot read a face.",
    "This package has its own Node.js and the default model pack, and downloads nothing.",
  ],
  suggests: ["ffmpeg", "gstreamer1.0-tools", "rpicam-apps"],
  conffiles: ["/etc/porchlight/porchlight.yaml"],
  otherRoom: "cloud-sync",
  otherModules: CENTRE_ONLY,
  files: [
    ["/etc/porchlight/porchlight.yaml", "the configuration"],
    ["/var/lib/porchlight", "the encrypted store, snapshots and model packs"],
    ["/etc/credstore.encrypted/porchlight.*", "the keys, encrypted for this machine"],
  ],
  seeAlso: "systemctl(1), journalctl(1), systemd-creds(1); the service is porchlight.service",
  add(tree, { root }) {
    const unit = (name: string): string => readFileSync(join(root, "systemd", name), "utf8");
    const own = (name: string): string =>
      readFileSync(join(root, "scripts/package/porchlight", name), "utf8");
    for (const name of UNITS) tree.write(`/usr/lib/systemd/system/${name}`, unit(name));
    tree.write("/usr/lib/sysusers.d/porchlight.conf", unit("sysusers.conf"));
    tree.write("/usr/lib/tmpfiles.d/porchlight.conf", unit("tmpfiles.conf") + own("tmpfiles.conf"));
    tree.write("/usr/bin/porchlight", unit("launcher"));
    tree.write("/etc/porchlight/porchlight.yaml", CONFIG);
    tree.copy(join(root, ".cache/models/default/"), "/usr/share/porchlight/models/default");
  },
};
