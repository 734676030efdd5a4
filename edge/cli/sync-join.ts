import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { flag, text, usageError } from "../../shared/cli/options.ts";
import type { Given } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { fingerprintOf } from "../../shared/log/site-key.ts";
import type { Bundle } from "../../shared/protocol/bundle.ts";
import { BUNDLE_CREDENTIAL, parseBundle, writeBundle } from "../config/bundle-file.ts";
import { bundlePath, signingKeyPath, siteKeyPath } from "../config/paths.ts";
import { credentialPath, encryptCredential } from "../install/credentials.ts";
import { layoutOf } from "../install/layout.ts";
import { deviceOf } from "../log/device-of.ts";
import { createKeyOutbox } from "../log/key-outbox.ts";
import { logPath } from "../log/open-log.ts";
import { isUnfinished } from "../store/create-store.ts";
import { openLink } from "../sync/link.ts";
import { redeemCode } from "../sync/pair.ts";
import { placePublicKey } from "../vault/site-key.ts";
import { makeStore } from "./make-store.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

/** On an installed device secrets are encrypted for the machine, and only systemd reads them. */
function installedCredential(): string | null {
  const { credentials } = layoutOf("/");
  const installed = existsSync(credentialPath(credentials, "log-key"));
  return installed ? credentialPath(credentials, BUNDLE_CREDENTIAL) : null;
}

const OPTIONS = {
  code: text("CODE", "that the centre printed, instead of a bundle: devices add NAME --code"),
  at: text("HOST:PORT", "of the centre that printed it"),
  unchecked: flag("keep the bundle without trying whether the centre answers"),
};

/** The id of this device; null where it has none yet: then it takes that of its bundle. */
function ownDevice({ config, openedLog }: Invocation): string | null {
  const folder = resolve(config().data);
  const isThere = existsSync(logPath(folder)) && !isUnfinished(folder);
  return isThere ? deviceOf(openedLog().reader) : null;
}

async function bundleFor(
  { operands, values, signal }: Given<Invocation, typeof OPTIONS>,
  device: string | null,
): Promise<Bundle> {
  const [file] = operands;
  const { code, at } = values;
  if (file !== undefined && code !== undefined) throw usageError("a bundle or --code: choose one");
  if (file !== undefined) return parseBundle(file);
  if (code === undefined) throw usageError("a bundle or --code CODE --at HOST:PORT is missing");
  if (at === undefined) throw usageError("--at HOST:PORT goes with --code: the centre prints both");
  return await redeemCode({ code, at, device }, signal);
}

function otherDevice(bundle: Bundle, device: string): PorchlightError {
  return new PorchlightError(
    "sync.bundle.other",
    `the bundle is for the device ${bundle.device}, this one is ${device}`,
    { hint: `in the centre: porchlight-cloud devices add ${device} --name NAME --out BUNDLE` },
  );
}

export const syncJoin: Verb = verb({
  name: "sync join",
  summary: "let this device send its log to the centre that made the bundle, or the code",
  options: OPTIONS,
  example: "porchlight sync join --code ABCD-EFGH-… --at door-centre.lan:8480",
  operands: { usage: "[<bundle>]", min: 0, max: 1 },
  async run(invocation) {
    const { values, config, openedLog, signal, terminal } = invocation;
    const own = ownDevice(invocation);
    const bundle = await bundleFor(invocation, own);
    const { device } = bundle;
    if (own === null) makeStore(invocation, device);
    else if (own !== device) throw otherDevice(bundle, own);
    const credential = installedCredential();
    // An installed device has the network in another process than the one that stores credentials.
    if (!values.unchecked && credential === null) {
      const nothing = { will: null, channels: [], message: () => undefined };
      const link = await openLink({ bundle, ...nothing }, signal);
      await link.close();
    }
    createKeyOutbox(openedLog().database, systemClock).requeueAll();
    placePublicKey(siteKeyPath(config()), bundle.site);
    placePublicKey(signingKeyPath(config()), bundle.signing);
    if (credential !== null) {
      encryptCredential(credential, BUNDLE_CREDENTIAL, Buffer.from(JSON.stringify(bundle)));
    } else writeBundle(bundlePath(config()), bundle);
    const next =
      credential === null
        ? "porchlight sync run"
        : "systemctl restart porchlight-sync; then see whether the centre answers: porchlight sync status";
    const { host } = new URL(bundle.url);
    const site =
      bundle.site === undefined ? null : fingerprintOf(Buffer.from(bundle.site, "base64"));
    const lines = [
      `joined the centre at ${host}`,
      ...(site === null ? [] : [`its key is ${site}: compare it with porchlight-cloud status`]),
      `next: ${next}`,
    ];
    terminal.data({ device, centre: host, siteKey: site }, lines.join("\n"));
    return EXIT.ok;
  },
});
