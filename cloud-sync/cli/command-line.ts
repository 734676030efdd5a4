/** The command line of the centre. Reads argv, the environment and time. */

import * as fs from "node:fs";
import type { ValuesOf } from "../../shared/cli/options.ts";
import { type Program, runProgram } from "../../shared/cli/program.ts";
import type { Call } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { messageOf, PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import { createLogger } from "../../shared/core/logger.ts";
import { runtimeOf } from "../../shared/core/own-runtime.ts";
import { loadConfig } from "../config/load.ts";
import type { CloudConfig } from "../config/schema.ts";
import { createDevices } from "../fleet/devices.ts";
import { createDeadLetters } from "../log/dead-letters.ts";
import { createCentralLog } from "../log/event-log.ts";
import type { Database } from "../postgres/database.ts";
import { openDatabase } from "../postgres/open.ts";
import { forgetShellVariables } from "../postgres/session.ts";
import { COMMANDS, type COMMON_OPTIONS } from "./commands.ts";
import type { Invocation, OpenCentre } from "./verb.ts";

const PROGRAM: Program<Invocation, typeof COMMON_OPTIONS> = {
  ...COMMANDS,
  runtime: runtimeOf(import.meta.url, { process, fs }),
  explain,
  prepare,
};

/** SQLSTATE, as the database gives it. */
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** What the database says of a statement is no mistake that a stack would explain to an operator. */
function explain(error: unknown): unknown {
  const code = systemCodeOf(error);
  if (error instanceof PorchlightError || code === undefined || !SQLSTATE.test(code)) return error;
  const message = `the database refused a statement: ${messageOf(error)} (${code})`;
  return new PorchlightError("database.refused", message, {
    hint: "see which database it is: porchlight-cloud config check",
    cause: error,
  });
}

function prepare(
  call: Call,
  { data, config: file }: ValuesOf<typeof COMMON_OPTIONS>,
): { readonly invocation: Invocation; close(): Promise<void> } {
  const environment = process.env;
  const configFile = file ?? environment["PORCHLIGHT_CLOUD_CONFIG"];
  let config: CloudConfig | undefined;
  let close = async (): Promise<void> => undefined;
  let opened: Promise<OpenCentre> | undefined;
  const loaded = (): CloudConfig => {
    config ??= loadConfig({ file: configFile, data, environment });
    return config;
  };
  const logger = createLogger({
    get level() {
      return config?.log.level ?? "info";
    },
    now: systemClock.now,
    write: (line) => process.stderr.write(line),
  });
  const connect = async (): Promise<Database> => {
    let gone: unknown;
    const failed = (error: unknown): void => {
      gone ??= error;
    };
    const options = { logger, random: Math.random, failed, attach: true };
    const { database, close: end } = await openDatabase(loaded(), options, call.signal);
    close = async () => {
      await end();
      if (gone !== undefined) throw gone;
    };
    return database;
  };
  const open = async (): Promise<OpenCentre> => {
    const database = await connect();
    const log = createCentralLog(database);
    await log.ensureMigrated();
    const [deadLetters, devices] = [createDeadLetters(database, log), createDevices(database)];
    return { database, log, deadLetters, devices };
  };
  return {
    close: () => close(),
    invocation: {
      ...call,
      configFile: configFile ?? "",
      logger,
      config: loaded,
      database: connect,
      centre() {
        opened ??= open();
        return opened;
      },
    },
  };
}

forgetShellVariables(process.env);
// What a part has left open, a failed start above all, keeps no process alive.
process.exit(await runProgram(PROGRAM, process));
