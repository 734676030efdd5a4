/** `config check` and `config schema`, the same for every program. */
import type { z } from "zod";
import { configJsonSchema, settingsOf } from "../core/config.ts";
import { EXIT } from "../core/errors.ts";
import type { Call, Verb } from "./verb.ts";

export interface Configured extends Call {
  /** Given by --config or the environment; "" for the default place. */
  readonly configFile: string;
  config(): object;
}

export interface ConfigOf {
  /** As it is typed. */
  readonly program: string;
  readonly schema: z.ZodType;
  readonly defaultFile: string;
  /** "porchlight.yaml": for the examples. */
  readonly file: string;
}

export function configCheck<I extends Configured>(of: ConfigOf): Verb<I> {
  return {
    name: "config check",
    usage: "[--config FILE]",
    summary: "check the configuration and show what is in force",
    options: {},
    optionHelp: {},
    example: `${of.program} config check --config ${of.file}`,
    operands: { min: 0, max: 0 },
    async run({ config, configFile, terminal }) {
      const settings = settingsOf(config());
      const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}`);
      terminal.note(`${configFile || of.defaultFile}: no mistakes`);
      terminal.data(settings, lines.join("\n"));
      return EXIT.ok;
    },
  };
}

export function configSchema<I extends Configured>(of: ConfigOf): Verb<I> {
  return {
    name: "config schema",
    usage: "",
    summary: "print the JSON Schema of the configuration",
    options: {},
    optionHelp: {},
    example: `${of.program} config schema > ${of.file.replace(".yaml", ".schema.json")}`,
    operands: { min: 0, max: 0 },
    async run({ terminal }) {
      const schema = configJsonSchema(of.schema);
      terminal.data(schema, JSON.stringify(schema, null, 2));
      return EXIT.ok;
    },
  };
}
