import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { flag, text, usageError, type ValuesOf } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { type Given, NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { fingerprintOf } from "../../shared/log/site-key.ts";
import { newCode } from "../../shared/protocol/pairing.ts";
import { makeBundle, type Proof, saveBundle } from "../fleet/bundle.ts";
import { checkedName, isDeviceId } from "../fleet/devices.ts";
import { mosquittoHash, passwordFile } from "../fleet/mosquitto-passwords.ts";
import { CODE_LIFE_S, createPairingCodes, type Invited } from "../fleet/pairing.ts";
import { listPresence, type Presence } from "../fleet/presence.ts";
import { brokerAddress } from "../host/broker-address.ts";
import { pairingAddress } from "../host/pairing-address.ts";
import { readSecret } from "../host/secret-file.ts";
import { openSigningKey, readSigningKey } from "../keyring/signing-key.ts";
import { openSiteKey } from "../keyring/site-key.ts";
import { CENTRE_USER, mosquittoAcl } from "../mqtt/topic-acl.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

const OPTIONS = {
  out: text("BUNDLE", "where the bundle goes, 0600: it holds a secret of this device"),
  certificate: text(
    "FILE",
    "PEM of the client certificate that authenticates the device at the broker, with --key",
  ),
  key: text("FILE", "PEM of the private key of --certificate"),
  unsigned: flag("for a device of an earlier version, which does not know signed acks"),
};
type BundleValues = ValuesOf<typeof OPTIONS>;

/** The device's certificate, where it is to prove itself by one. */
function certificateOf({ certificate, key }: BundleValues): Proof | null {
  if (certificate === undefined && key === undefined) return null;
  if (certificate === undefined || key === undefined) {
    throw usageError("--certificate and --key go together");
  }
  const secret = {
    credential: null,
    code: "devices.key",
    missing: "there is no private key of the device",
    hint: "name its PEM file: porchlight-cloud devices add ID --certificate FILE --key FILE",
  };
  return {
    certificate: readFileSync(certificate, "utf8"),
    key: readSecret(secret, { configuredFile: key }).toString("utf8"),
  };
}

/** Whoever hands out bundles needs the public half alone; before the first start it is made. */
async function signingKeyOf(...place: Parameters<typeof openSigningKey>): Promise<Buffer> {
  return (await readSigningKey(place[1])) ?? (await openSigningKey(...place)).publicKey;
}

/** Whom a bundle or a code is for: a door that has an id, or one that will be given it. */
interface Door {
  readonly device: string;
  readonly name: string | null;
}

/** Registers or renews, and hands out what the device joins with. */
async function handOut(
  invocation: Given<Invocation, typeof OPTIONS>,
  { device, name }: Door,
  what: "add" | "rotate",
) {
  const { values, terminal } = invocation;
  const { out } = values;
  if (out === undefined) throw usageError("--out BUNDLE is missing");
  const certificate = certificateOf(values);
  const reach = await brokerAddress(invocation.config(), systemClock.now());
  const { devices, database } = await invocation.centre();
  const config = invocation.config();
  const { publicKey } = await openSiteKey(config, database);
  const signing = values.unsigned ? null : await signingKeyOf(config, database);
  const password = await (what === "add" ? devices.add(device, name) : devices.rotate(device));
  saveBundle(
    out,
    makeBundle(device, reach, certificate ?? { password }, { site: publicKey, signing }),
  );
  const { host } = new URL(reach.url);
  const siteKey = fingerprintOf(publicKey);
  const lines = [
    `${out}: for ${name === null ? `device ${device}` : `the door ${name}`}, at ${host}`,
    `there: porchlight sync join ${out}`,
    `it will say the key of this site: ${siteKey}`,
  ];
  terminal.data({ device, name, bundle: out, url: reach.url, siteKey }, lines.join("\n"));
  return EXIT.ok;
}

export const devicesAdd: Verb = verb({
  name: "devices add",
  summary:
    "register a door, by a name or by its device's id; a bundle, or a code that it joins with",
  operands: oneOperand("<name or id>"),
  options: {
    ...OPTIONS,
    name: text("NAME", "what the door is called, where its device's id is given"),
    code: flag("print a code instead, which is typed at the device: good once, for 15 minutes"),
  },
  example: "porchlight-cloud devices add front-door --code",
  async run(invocation) {
    const { operands, values } = invocation;
    const [given = ""] = operands;
    const isId = isDeviceId(given.toLowerCase());
    if (!isId && values.name !== undefined) throw usageError("--name goes with a device's id");
    const named = isId ? values.name : given;
    const name = named === undefined ? null : checkedName(named);
    const device = isId ? given.toLowerCase() : null;
    if (values.code) return await invite(invocation, { device, name });
    return await handOut(invocation, { device: device ?? randomUUID(), name }, "add");
  },
});

/** Prints a code; the centre that runs gives out the bundle for it. */
async function invite(invocation: Given<Invocation, typeof OPTIONS>, whom: Invited) {
  const { terminal, values } = invocation;
  if (values.out !== undefined) throw usageError("--out and --code are two ways: choose one");
  const config = invocation.config();
  const { devices, database } = await invocation.centre();
  const others = (await devices.list()).filter(({ name, device }) => {
    return name?.toLowerCase() === whom.name?.toLowerCase() && device !== whom.device;
  });
  if (whom.name !== null && others.length > 0) {
    throw new PorchlightError("device.name.taken", `there is a door called ${whom.name} already`, {
      hint: `a new code for it: porchlight-cloud devices add ${others[0]?.device} --code`,
    });
  }
  const { at, pin } = await pairingAddress(config, systemClock.now());
  const code = newCode(pin, randomBytes);
  await createPairingCodes(database).invite(code, whom);
  const lines = [
    `code  ${code}`,
    `at    ${at}`,
    `there: porchlight sync join --code ${code} --at ${at}`,
    `good once, for ${CODE_LIFE_S / 60} minutes`,
  ];
  terminal.data({ ...whom, code, at, expiresInS: CODE_LIFE_S }, lines.join("\n"));
  return EXIT.ok;
}

export const devicesRotate: Verb = verb({
  name: "devices rotate",
  summary: "give a device a new password; the old one is revoked",
  operands: oneOperand("<name or id>"),
  options: OPTIONS,
  example: "porchlight-cloud devices rotate front-door --out front-door.bundle",
  async run(invocation) {
    const { devices } = await invocation.centre();
    const device = await devices.find(invocation.operands[0] ?? "");
    return await handOut(invocation, { device, name: null }, "rotate");
  },
});

export const devicesRevoke: Verb = verb({
  name: "devices revoke",
  summary: "revoke a device's access; what it has sent stays",
  options: {},
  example: "porchlight-cloud devices revoke front-door",
  operands: oneOperand("<name or id>"),
  async run({ operands, centre, terminal }) {
    const { devices } = await centre();
    const device = await devices.find(operands[0] ?? "");
    await devices.revoke(device);
    terminal.data({ device, revoked: true }, `${device} is revoked`);
    return EXIT.ok;
  },
});

function wordsOf(presence: Presence | undefined): readonly string[] {
  if (presence === undefined) return ["no status yet", "-", "-"];
  const { online, toldAt, lag, halted } = presence;
  const state = halted === null ? (online ? "online" : "offline") : `halted: ${halted}`;
  return [state, dateOf(toldAt.getTime()), lag === null ? "-" : `${lag}`];
}

export const devicesList: Verb = verb({
  name: "devices list",
  summary: "the registered devices, and the last status they reported",
  options: {},
  example: "porchlight-cloud devices list --json",
  operands: NO_OPERANDS,
  async run({ centre, terminal }) {
    const { devices, database } = await centre();
    const heard = new Map((await listPresence(database)).map((each) => [each.device, each]));
    const all = (await devices.list()).map((each) => ({
      ...each,
      presence: heard.get(each.device) ?? null,
    }));
    const rows = all.map(({ device, name, addedAt, revokedAt, presence }) => [
      name ?? "-",
      device,
      dateOf(addedAt.getTime()),
      ...(revokedAt === null ? wordsOf(presence ?? undefined) : ["revoked", "-", "-"]),
    ]);
    terminal.data(all, table(["door", "device", "added", "state", "last status", "lag"], rows));
    return EXIT.ok;
  },
});

export const devicesAcl: Verb = verb({
  name: "devices acl",
  summary: "print the ACL file of a Mosquitto: the same rules as our own broker's",
  options: {},
  example: "porchlight-cloud devices acl > /etc/mosquitto/porchlight.acl",
  operands: NO_OPERANDS,
  async run({ terminal }) {
    const acl = mosquittoAcl();
    terminal.data({ acl }, acl.trimEnd());
    return EXIT.ok;
  },
});

export const devicesPasswords: Verb = verb({
  name: "devices passwords",
  summary: "print the password file of a Mosquitto: every device, and the centre by mqtt.password",
  options: {},
  example: "porchlight-cloud devices passwords > /etc/mosquitto/porchlight.passwords",
  operands: NO_OPERANDS,
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
});
