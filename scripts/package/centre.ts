/** The Debian package of a centre. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DEVICE_ONLY } from "../../edge/install/modules.ts";
import type { PackageContent } from "./program.ts";

export const CENTRE: PackageContent = {
  name: "porchlight-cloud",
  summary: "centre that takes in the logs of Porchlight doorbells",
  description: [
    "Doorbells that run Porchlight send their logs here: verified, each entry once, in PostgreSQL. Faces and names arrive sealed, and are opened only where their owner has released the key.",
    "This package has its own Node.js, broker and PostgreSQL, and downloads nothing. Each part can be replaced by a server by naming its URL.",
  ],
  suggests: ["postgresql", "mosquitto"],
  conffiles: ["/etc/porchlight/porchlight-cloud.yaml"],
  otherRoom: "edge",
  otherModules: DEVICE_ONLY,
  files: [
    ["/etc/porchlight/porchlight-cloud.yaml", "the configuration"],
    ["/var/lib/porchlight-cloud", "database, objects, the site's key, certificates"],
  ],
  seeAlso: "systemctl(1), journalctl(1); the service is porchlight-cloud.service",
  add(tree, { root }) {
    const unit = (name: string): string => readFileSync(join(root, "systemd", name), "utf8");
    const own = (name: string): string =>
      readFileSync(join(root, "scripts/package/porchlight-cloud", name), "utf8");
    const service = "porchlight-cloud.service";
    tree.write(`/usr/lib/systemd/system/${service}`, unit(service));
    tree.write("/usr/lib/sysusers.d/porchlight-cloud.conf", unit("sysusers-cloud.conf"));
    tree.write("/usr/bin/porchlight-cloud", own("launcher"));
    tree.write("/etc/porchlight/porchlight-cloud.yaml", own("porchlight-cloud.yaml"));
  },
};
