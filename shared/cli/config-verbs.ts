/** `config check`, `config migrate` and `config schema`, the same for every program. */
import type { z } from "zod";
import { configJsonSchema, type Migrations, settingsOf } from "../core/config.ts";
import { migrateText } from "../core/config-migration.ts";
import { EXIT, PorchlightError } from "../core/errors.ts";
import { type Call, NO_OPERANDS, type Verb } from "./verb.ts";

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
  readonly migrations: Migrations;
  /** What is wrong beyond the schema: with what this machine has. */
  readonly problems?: (config: object) => Promise<readonly string[]>;
  /** Files of the owner's; writing keeps owner and mode. */
  readonly files: ConfigFiles;
}

export interface ConfigFiles {
  /** Null where there is none. */
  read(path: string): string | null;
  rewrite(path: string, text: string): void;
  /** A copy beside it, with its owner and mode; one that is there already stays. */
  copy(path: string, to: string): void;
}

export function configCheck<I extends Configured>(of: ConfigOf): Verb<I> {
  return {
    name: "config check",
    summary: "check the configuration and show the effective settings",
    options: {},
    example: `${of.program} config check --config ${of.file}`,
    operands: NO_OPERANDS,
    async run({ config, configFile, terminal }) {
      const settings = settingsOf(config());
      const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}`);
      const file = configFile || of.defaultFile;
      const { steps, newest } = of.migrations;
      const migrated = migrateText(of.files.read(file) ?? "", steps, newest);
      const problems = (await of.problems?.(config())) ?? [];
      if (problems.length > 0) {
        throw new PorchlightError(
          "config.invalid",
          [`${file} has mistakes:`, ...problems].join("\n  "),
          {
            exitCode: EXIT.config,
            hint: `see every setting: ${of.program} config schema`,
          },
        );
      }
      terminal.note(`${file}: no mistakes`);
      if (migrated !== null && migrated.renamed.length > 0) {
        terminal.note(`of version ${migrated.from}: ${migrated.renamed.join(", ")}`);
        terminal.note(`to rewrite it: ${of.program} config migrate`);
      }
      terminal.data(settings, lines.join("\n"));
      return EXIT.ok;
    },
  };
}

export function configSchema<I extends Configured>(of: ConfigOf): Verb<I> {
  return {
    name: "config schema",
    summary: "print the JSON Schema of the configuration",
    options: {},
    example: `${of.program} config schema > ${of.file.replace(".yaml", ".schema.json")}`,
    operands: NO_OPERANDS,
    async run({ terminal }) {
      const schema = configJsonSchema(of.schema);
      terminal.data(schema, JSON.stringify(schema, null, 2));
      return EXIT.ok;
    },
  };
}

export function configMigrate<I extends Configured>(of: ConfigOf): Verb<I> {
  return {
    name: "config migrate",
    summary: "migrate a configuration of an earlier version; a backup is kept in its folder",
    options: {},
    example: `${of.program} config migrate --config ${of.file}`,
    operands: NO_OPERANDS,
    async run({ config, configFile, terminal }) {
      const { files, migrations } = of;
      const file = configFile || of.defaultFile;
      const text = files.read(file);
      if (text === null) {
        throw new PorchlightError("config.missing", `there is no configuration at ${file}`, {
          exitCode: EXIT.config,
          hint: `name it: ${of.program} config migrate --config FILE`,
        });
      }
      // Mistakes are reported before anything is written.
      config();
      const migrated = migrateText(text, migrations.steps, migrations.newest);
      if (migrated === null) {
        terminal.data({ file, changed: false }, `${file} is of version ${migrations.newest}`);
        return EXIT.ok;
      }
      const backup = `${file}.before-${migrations.newest}`;
      files.copy(file, backup);
      files.rewrite(file, migrated.text);
      const { from, renamed } = migrated;
      const lines = [
        `${file}: version ${from} → ${migrations.newest}`,
        ...renamed,
        `what was there: ${backup}`,
      ];
      const { newest: to } = migrations;
      terminal.data({ file, changed: true, from, to, renamed, backup }, lines.join("\n"));
      return EXIT.ok;
    },
  };
}
