/** The command line of a device. Reads argv, the environment and time. */

import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { userInfo } from "node:os";
import { resolve } from "node:path";
import type { ValuesOf } from "../../shared/cli/options.ts";
import { type Program, runProgram } from "../../shared/cli/program.ts";
import type { Call } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { runtimeOf } from "../../shared/core/own-runtime.ts";
import { loadConfig } from "../config/load.ts";
import { logOptions, storeOptions } from "../config/options.ts";
import type { DeviceConfig } from "../config/schema.ts";
import { type OpenLog, openLog } from "../log/open-log.ts";
import { explained } from "../sqlite/failure.ts";
import { refuseUnfinished } from "../store/create-store.ts";
import { openStore, type Store } from "../store/open-store.ts";
import { typedWords } from "./arguments.ts";
import { COMMANDS, type COMMON_OPTIONS } from "./commands.ts";
import type { Invocation } from "./verb.ts";

const PROGRAM: Program<Invocation, typeof COMMON_OPTIONS> = {
  ...COMMANDS,
  runtime: runtimeOf(import.meta.url, { process, fs }),
  explain: explained,
  prepare,
};

function prepare(
  call: Call,
  { data, config: file }: ValuesOf<typeof COMMON_OPTIONS>,
): { readonly invocation: Invocation; close(): void } {
  const environment = process.env;
  const configFile = file ?? environment["PORCHLIGHT_CONFIG"];
  let config: DeviceConfig | undefined;
  let store: Store | undefined;
  let logOnly: OpenLog | undefined;
  const loaded = (): DeviceConfig => {
    config ??= loadConfig({ file: configFile, data, environment });
    return config;
  };
  const openedLog = (): OpenLog => {
    refuseUnfinished(resolve(loaded().data));
    logOnly ??= openLog(logOptions(loaded(), environment, systemClock, randomUUID));
    return logOnly;
  };
  return {
    close() {
      store?.close();
      logOnly?.close();
    },
    invocation: {
      ...call,
      actor: `cli:${userName()}`,
      configFile: configFile ?? "",
      data,
      environment,
      config: loaded,
      store() {
        store ??= openStore(storeOptions(loaded(), environment, systemClock, randomUUID));
        return store;
      },
      log: () => openedLog().log,
      openedLog,
    },
  };
}

/** As an entry's actor takes it (shared/log/entry.ts). */
function userName(): string {
  const { username } = userInfo();
  return username.replaceAll(/[\s:\p{Cc}]/gu, "_").slice(0, 64) || "unknown";
}

process.argv = [...typedWords(process.argv, process.env)];
process.exitCode = await runProgram(PROGRAM, process);
