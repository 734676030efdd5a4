import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { flag, text, usageError } from "../../shared/cli/options.ts";
import { type Given, NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT, type ExitCode, PorchlightError } from "../../shared/core/errors.ts";
import type { Runtime } from "../../shared/core/own-runtime.ts";
import { modelsFolder, programFolder } from "../config/paths.ts";
import { credentialPath, encryptCredential, makeKeys } from "../install/credentials.ts";
import { leaveToDpkg } from "../install/debian.ts";
import { install, placeCamera } from "../install/install.ts";
import { DAEMON_UNIT, layoutOf } from "../install/layout.ts";
import { parseCameraUrl } from "../relay/network-source.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

const OPTIONS = {
  root: text("DIR", "an image's root folder; nothing is started, keys are made at its first boot"),
  keys: flag("only make this machine's keys, if they are missing"),
  camera: text("NAME", "add a network camera of this name; its URL is read from stdin"),
  address: text("IP", "the only address that this camera's unit may speak to"),
};

/** Runs a program of systemd; its output is for people. */
function systemd(program: string, ...args: string[]): void {
  const { error, status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (error === undefined && status === 0) return;
  const command = [program, ...args].join(" ");
  throw new PorchlightError("install.systemd", `${command} failed: ${stderr ?? error?.message}`, {
    hint: "everything is in place; mend that, then run: sudo porchlight install",
  });
}

/** The units run what was tested: the bundled Node.js is installed along with the program. */
function ownNode({ own, node, nodePath, pinned }: Runtime): string {
  if (own) return nodePath;
  const reason = `the services run on the bundled Node.js ${pinned}, and this is ${node} (${nodePath})`;
  throw new PorchlightError("install.node", reason, {
    hint: "start it without PORCHLIGHT_NODE=system: sudo bin/porchlight install",
  });
}

/** Before, the agent was of the daemon's group, and could open the log. */
function leaveGroup(): void {
  const { stdout } = spawnSync("id", ["-nG", "porchlight-sync"], { encoding: "utf8" });
  if (stdout.trim().split(" ").includes("porchlight")) {
    systemd("gpasswd", "--delete", "porchlight-sync", "porchlight");
  }
}

function mustBeRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new PorchlightError("install.root", "only root can install a service", {
    hint: "sudo porchlight install; or into a folder of yours: porchlight install --root DIR",
  });
}

function addCamera(
  { values, terminal }: Given<Invocation, typeof OPTIONS>,
  root: string,
): ExitCode {
  const [name, address] = [values.camera ?? "", values.address ?? ""];
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) {
    throw usageError("--camera is a name of small letters, digits and dashes");
  }
  if (isIP(address) === 0) {
    throw usageError("--address is the one IP address that the camera has");
  }
  const layout = layoutOf(root);
  placeCamera(layout, name, address);
  if (root === "/") {
    const url = parseCameraUrl(readFileSync(0, "utf8"));
    const path = credentialPath(layout.credentials, `camera-url.${name}`);
    encryptCredential(path, "camera-url", Buffer.from(url.href));
    systemd("systemctl", "daemon-reload");
    systemd("systemctl", "restart", `porchlight-camera@${name}.service`);
  }
  const socket = `/run/porchlight-camera/${name}/frames.sock`;
  const words = `camera {kind: socket, name: ${name}, path: ${socket}} can be configured now`;
  terminal.data({ camera: name, address, socket }, words);
  return EXIT.ok;
}

export const installVerb: Verb = verb({
  name: "install",
  summary: "put the program and its systemd units in place",
  options: OPTIONS,
  example: "sudo porchlight install",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { values, terminal, config, runtime } = invocation;
    const root = resolve(values.root ?? "/");
    const here = root === "/";
    const layout = layoutOf(root);
    if (here) mustBeRoot();
    if (values.keys) {
      const made = makeKeys(layout.credentials);
      terminal.data({ made }, made.length === 0 ? "both keys are there" : made.join("\n"));
      return EXIT.ok;
    }
    if (values.camera !== undefined) return addCamera(invocation, root);
    leaveToDpkg(layout, "updated by: sudo apt install ./porchlight_VERSION_ARCHITECTURE.deb");
    const models = existsSync(modelsFolder(config())) ? modelsFolder(config()) : layout.models;
    install({ layout, from: programFolder(), models, node: ownNode(runtime) });
    if (here) {
      systemd("systemd-sysusers", layout.sysusers);
      leaveGroup();
      systemd("systemd-tmpfiles", "--create", layout.tmpfiles);
      systemd("systemctl", "daemon-reload");
    }
    const next = here
      ? `configure a camera in ${layout.config}, then: systemctl restart ${DAEMON_UNIT}`
      : "it starts with the image; keys are made at the first boot";
    terminal.data(layout, `installed in ${layout.program}\nnext: ${next}`);
    return EXIT.ok;
  },
});
