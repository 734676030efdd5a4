import { table } from "../../shared/cli/terminal.ts";
import { usageError } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { fingerprintOf } from "../../shared/log/site-key.ts";
import { renewSiteKey } from "../keyring/site-key.ts";
import { keyringOf } from "./people.ts";
import type { Verb } from "./verb.ts";

export const keysList: Verb = {
  name: "keys list",
  usage: "",
  summary: "how many keys each device has released to this site, by what they open",
  options: {},
  optionHelp: {},
  example: "porchlight-cloud keys list --json",
  operands: { min: 0, max: 0 },
  async run({ centre, config, terminal }) {
    const { database } = await centre();
    const keyring = await keyringOf({ config }, database);
    const counts = await keyring.count();
    const rows = counts.map(({ device, class: of, held }) => [device, of, `${held}`]);
    terminal.data(counts, table(["device", "class", "keys"], rows));
    return EXIT.ok;
  },
};

export const keysForget: Verb = {
  name: "keys forget",
  usage: "<device> --yes",
  summary: "destroy the keys that a device has released, until it joins anew",
  options: { yes: { type: "boolean" } },
  optionHelp: { "--yes": "they cannot be brought back from here" },
  example: "porchlight-cloud keys forget 0b6f… --yes",
  operands: { min: 1, max: 1 },
  async run({ centre, config, operands, values, terminal }) {
    const [device = ""] = operands;
    if (values["yes"] !== true) throw usageError("--yes says that they may go");
    const { database } = await centre();
    const keyring = await keyringOf({ config }, database);
    const forgotten = await keyring.forget(device);
    terminal.data({ device, forgotten }, `${forgotten} keys of ${device} are gone`);
    return EXIT.ok;
  },
};

export const keysRenew: Verb = {
  name: "keys renew",
  usage: "--yes",
  summary: "make a new key of this site, where the old one is lost or others have it",
  options: { yes: { type: "boolean" } },
  optionHelp: {
    "--yes": "what was released until now is destroyed; each device needs a new bundle",
  },
  example: "porchlight-cloud keys renew --yes",
  operands: { min: 0, max: 0 },
  async run({ centre, config, values, terminal }) {
    if (values["yes"] !== true) throw usageError("--yes says that what was released may go");
    const { database } = await centre();
    const siteKey = fingerprintOf((await renewSiteKey(config(), database)).publicKey);
    const lines = [
      `the key of this site is ${siteKey}`,
      "next: start the centre again, and give each device a bundle: porchlight-cloud devices rotate",
    ];
    terminal.data({ siteKey }, lines.join("\n"));
    return EXIT.ok;
  },
};
