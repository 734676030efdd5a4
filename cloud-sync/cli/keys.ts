import { checkedDeviceId, confirmation, flag } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { fingerprintOf } from "../../shared/log/site-key.ts";
import { renewSigningKey } from "../keyring/signing-key.ts";
import { renewSiteKey } from "../keyring/site-key.ts";
import { keyringOf } from "./people.ts";
import { type Verb, verb } from "./verb.ts";

export const keysList: Verb = verb({
  name: "keys list",
  summary: "how many keys each device has released to this site, by what they open",
  options: {},
  example: "porchlight-cloud keys list --json",
  operands: NO_OPERANDS,
  async run({ centre, config, terminal }) {
    const { database } = await centre();
    const keyring = await keyringOf({ config }, database);
    const counts = await keyring.count();
    const rows = counts.map(({ device, class: of, held }) => [device, of, `${held}`]);
    terminal.data(counts, table(["device", "class", "keys"], rows));
    return EXIT.ok;
  },
});

export const keysForget: Verb = verb({
  name: "keys forget",
  summary: "destroy the keys that a device has released, until it joins anew",
  options: { yes: confirmation("the keys cannot be restored from here") },
  example: "porchlight-cloud keys forget 0b6f… --yes",
  operands: oneOperand("<device>"),
  async run({ centre, config, operands, terminal }) {
    const device = checkedDeviceId(operands[0] ?? "");
    const { database } = await centre();
    const keyring = await keyringOf({ config }, database);
    const forgotten = await keyring.forget(device);
    terminal.data({ device, forgotten }, `${forgotten} keys of ${device} are destroyed`);
    return EXIT.ok;
  },
});

export const keysRenew: Verb = verb({
  name: "keys renew",
  summary: "make a new key of this site, where the old one is lost or others have it",
  options: {
    signing: flag("the key that acks are signed with, and not the one that devices release to"),
    yes: confirmation(
      "what was released until now is destroyed, and each device needs a new bundle",
    ),
  },
  example: "porchlight-cloud keys renew --yes",
  operands: NO_OPERANDS,
  async run({ centre, config, terminal, values }) {
    const { database } = await centre();
    if (values.signing) {
      const { publicKey } = await renewSigningKey(config(), database);
      const signingKey = publicKey.toString("base64");
      const words = [
        "the signing key of this site is new",
        "next: restart the centre, and give each device a new bundle: porchlight-cloud devices rotate",
      ];
      terminal.data({ signingKey }, words.join("\n"));
      return EXIT.ok;
    }
    const siteKey = fingerprintOf((await renewSiteKey(config(), database)).publicKey);
    const lines = [
      `the key of this site is ${siteKey}`,
      "next: restart the centre, and give each device a new bundle: porchlight-cloud devices rotate",
    ];
    terminal.data({ siteKey }, lines.join("\n"));
    return EXIT.ok;
  },
});
