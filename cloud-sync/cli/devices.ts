import { readFileSync } from "node:fs";
import { table } from "../../shared/cli/terminal.ts";
import { text, usageError } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { fingerprintOf } from "../../shared/log/site-key.ts";
import { makeBundle, type Proof, saveBundle } from "../fleet/bundle.ts";
import { mosquittoHash, passwordFile } from "../fleet/mosquitto-passwords.ts";
import { listPresence, type Presence } from "../fleet/presence.ts";
import { brokerAddress } from "../host/broker-address.ts";
import { openSiteKey } from "../keyring/site-key.ts";
import { CENTRE_USER, mosquittoAcl } from "../mqtt/topic-acl.ts";
import type { Invocation, Verb } from "./verb.ts";

const BUNDLE = {
  options: {
    out: { type: "string" },
    certificate: { type: "string" },
    key: { type: "string" },
  },
  optionHelp: {
    "--out BUNDLE": "where the bundle goes, 0600: it holds a secret, for this device alone",
    "--certificate FILE": "PEM of a certificate that the broker knows the device by, with --key",
    "--key FILE": "PEM of the private key of --certificate",
  },
  operands: { min: 1, max: 1 },
} as const;

/** The device's certificate, where it is to prove itself by one. */
function certificateOf({ values }: Invocation): Proof | null {
  const [certificate, key] = [text(values, "certificate"), text(values, "key")];
  if (certificate === undefined && key === undefined) return null;
  if (certificate === undefined || key === undefined) {
    throw usageError("--certificate and --key go together");
  }
  return { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
}

/** Registers or renews, and hands out what the device joins with. */
async function handOut(invocation: Invocation, what: "add" | "rotate") {
  const { operands, values, terminal } = invocation;
  const [device = ""] = operands;
  const out = text(values, "out");
  if (out === undefined) throw usageError("--out names the file for the bundle");
  const certificate = certificateOf(invocation);
  const reach = await brokerAddress(invocation.config(), systemClock.now());
  const { devices, database } = await invocation.centre();
  const { publicKey } = await openSiteKey(invocation.config(), database);
  const password = await devices[what](device);
  saveBundle(out, makeBundle(device, reach, certificate ?? { password }, publicKey));
  const { host } = new URL(reach.url);
  const siteKey = fingerprintOf(publicKey);
  const lines = [
    `${out}: for device ${device}, at ${host}`,
    `there: porchlight sync join ${out}`,
    `it will say the key of this site: ${siteKey}`,
  ];
  terminal.data({ device, bundle: out, url: reach.url, siteKey }, lines.join("\n"));
  return EXIT.ok;
}

export const devicesAdd: Verb = {
  name: "devices add",
  usage: "<id> --out BUNDLE",
  summary: "register a device and make the bundle that it joins with",
  ...BUNDLE,
  example: "porchlight-cloud devices add 0b6f… --out front-door.bundle",
  run: (invocation) => handOut(invocation, "add"),
};

export const devicesRotate: Verb = {
  name: "devices rotate",
  usage: "<id> --out BUNDLE",
  summary: "give a device a new password; the old one is good no longer",
  ...BUNDLE,
  example: "porchlight-cloud devices rotate 0b6f… --out front-door.bundle",
  run: (invocation) => handOut(invocation, "rotate"),
};

export const devicesRevoke: Verb = {
  name: "devices revoke",
  usage: "<id>",
  summary: "let a device in no more; what it has sent stays",
  options: {},
  optionHelp: {},
  example: "porchlight-cloud devices revoke 0b6f…",
  operands: { min: 1, max: 1 },
  async run({ operands, centre, terminal }) {
    const [device = ""] = operands;
    const { devices } = await centre();
    await devices.revoke(device);
    terminal.data({ device, revoked: true }, `${device} is let in no more`);
    return EXIT.ok;
  },
};

function wordsOf(presence: Presence | undefined): readonly string[] {
  if (presence === undefined) return ["never heard of", "-", "-"];
  const { online, toldAt, lag, halted } = presence;
  const state = halted === null ? (online ? "online" : "offline") : `halted: ${halted}`;
  return [state, dateOf(toldAt.getTime()), lag === null ? "-" : `${lag}`];
}

export const devicesList: Verb = {
  name: "devices list",
  usage: "",
  summary: "the registered devices, and what they last said of themselves",
  options: {},
  optionHelp: {},
  example: "porchlight-cloud devices list --json",
  operands: { min: 0, max: 0 },
  async run({ centre, terminal }) {
    const { devices, database } = await centre();
    const heard = new Map((await listPresence(database)).map((each) => [each.device, each]));
    const all = (await devices.list()).map((each) => ({
      ...each,
      presence: heard.get(each.device) ?? null,
    }));
    const rows = all.map(({ device, addedAt, revokedAt, presence }) => [
      device,
      dateOf(addedAt.getTime()),
      ...(revokedAt === null ? wordsOf(presence ?? undefined) : ["revoked", "-", "-"]),
    ]);
    terminal.data(all, table(["device", "added", "state", "said", "lag"], rows));
    return EXIT.ok;
  },
};

export const devicesAcl: Verb = {
  name: "devices acl",
  usage: "",
  summary: "print the ACL file of a Mosquitto: the same rules as our own broker's",
  options: {},
  optionHelp: {},
  example: "porchlight-cloud devices acl > /etc/mosquitto/porchlight.acl",
  operands: { min: 0, max: 0 },
  async run({ terminal }) {
    const acl = mosquittoAcl();
    terminal.data({ acl }, acl.trimEnd());
    return EXIT.ok;
  },
};

export const devicesPasswords: Verb = {
  name: "devices passwords",
  usage: "",
  summary: "print the password file of a Mosquitto: every device, and the centre by mqtt.password",
  options: {},
  optionHelp: {},
  example: "porchlight-cloud devices passwords > /etc/mosquitto/porchlight.passwords",
  operands: { min: 0, max: 0 },
  async run({ config, centre, terminal }) {
    const { username = CENTRE_USER, password } = config().mqtt;
    const { devices } = await centre();
    const users = [...(await devices.mosquittoUsers())];
    if (password === undefined) terminal.note("without mqtt.password, the centre is not in it");
    else users.push({ user: username, hash: await mosquittoHash(password) });
    const file = passwordFile(users);
    terminal.data({ users: users.map(({ user }) => user), file }, file.trimEnd());
    return EXIT.ok;
  },
};
