import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { text, usageError } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { leaveToDpkg } from "../install/debian.ts";
import { uninstall } from "../install/install.ts";
import { DAEMON_UNIT, layoutOf, SYNC_UNIT } from "../install/layout.ts";
import type { Verb } from "./verb.ts";

const RUNNING = [DAEMON_UNIT, SYNC_UNIT, "porchlight-camera@*.service"];
/** Of systemd/sysusers.conf, whoever is in the group of the next one first. */
const USERS = ["porchlight-sync", "porchlight", "porchlight-camera"];

export const uninstallVerb: Verb = {
  name: "uninstall",
  usage: "[--root DIR] [--purge --yes]",
  summary: "take the program and its units away; store, keys and configuration stay",
  options: {
    root: { type: "string" },
    purge: { type: "boolean" },
    yes: { type: "boolean" },
  },
  optionHelp: {
    "--root DIR": "an image's root folder",
    "--purge": "destroy the store, its keys and the configuration too; cannot be undone",
    "--yes": "do not ask",
  },
  example: "sudo porchlight uninstall",
  operands: { min: 0, max: 0 },
  async run({ values, terminal }) {
    const root = resolve(text(values, "root") ?? "/");
    const layout = layoutOf(root);
    const purge = values["purge"] === true;
    if (purge && values["yes"] !== true) {
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
};
