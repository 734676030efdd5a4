import { configJsonSchema } from "../../shared/config.ts";
import { EXIT } from "../../shared/errors.ts";
import { DEFAULT_CONFIG_FILE, deviceConfigSchema, settingsOf } from "../config.ts";
import type { Verb } from "./verb.ts";

export const configCheck: Verb = {
  name: "config check",
  usage: "[--config FILE]",
  summary: "check the configuration and show what is in force",
  options: {},
  optionHelp: {},
  example: "porchlight config check --config porchlight.yaml",
  operands: { min: 0, max: 0 },
  async run({ config, configFile, terminal }) {
    const { settings } = settingsOf(config());
    const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}`);
    terminal.note(`${configFile || DEFAULT_CONFIG_FILE}: no mistakes`);
    terminal.data(settings, lines.join("\n"));
    return EXIT.ok;
  },
};

export const configSchema: Verb = {
  name: "config schema",
  usage: "",
  summary: "print the JSON Schema of the configuration",
  options: {},
  optionHelp: {},
  example: "porchlight config schema > porchlight.schema.json",
  operands: { min: 0, max: 0 },
  async run({ terminal }) {
    const schema = configJsonSchema(deviceConfigSchema);
    terminal.data(schema, JSON.stringify(schema, null, 2));
    return EXIT.ok;
  },
};
