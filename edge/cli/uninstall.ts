import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { flag, text, usageError } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { leaveToDpkg } from "../install/debian.ts";
import { uninstall } from "../install/install.ts";
import { DAEMON_UNIT, layoutOf, SYNC_UNIT } from "../install/layout.ts";
import { type Verb, verb } from "./verb.ts";

const RUNNING = [DAEMON_UNIT, SYNC_UNIT, "porchlight-camera@*.service"];
/** Of systemd/sysusers.conf, whoever is in the group of the next one first. */
const USERS = ["porchlight-sync", "porchlight", "porchlight-camera"];

export const uninstallVerb: Verb = verb({
  name: "uninstall",
  summary: "remove the program and its units; store, keys and configuration stay",
  options: {
    root: text("DIR", "an image's root folder"),
    purge: flag("destroy the store, its keys and the configuration too; cannot be undone"),
    yes: flag("do not ask"),
  },
  example: "sudo porchlight uninstall",
  operands: NO_OPERANDS,
  async run({ values, terminal }) {
    const root = resolve(values.root ?? "/");
    const layout = layoutOf(root);
    const purge = values.purge;
    if (purge && !values.yes) {
      throw usageError(`--purge destroys ${layout.state} and its keys for good: say --yes too`);
    }
    leaveToDpkg(layout, `sudo apt ${purge ? "purge" : "remove"} porchlight`);
    if (root === "/") spawnSync("systemctl", ["stop", ...RUNNING]);
    uninstall(layout, purge);
    if (root === "/") {
      spawnSync("systemctl", ["daemon-reload"]);
      if (purge) for (const user of USERS) spawnSync("userdel", [user]);
    }
    const words = purge ? "nothing is left" : `store and keys stay: ${layout.state}`;
    terminal.data({ root, purged: purge }, words);
    return EXIT.ok;
  },
});
