/** Every verb, in the order a newcomer meets them. */
import { configCheck, configSchema } from "./config.ts";
import {
  deadLettersDrop,
  deadLettersList,
  deadLettersRetry,
  deadLettersShow,
} from "./dead-letters.ts";
import {
  devicesAcl,
  devicesAdd,
  devicesList,
  devicesPasswords,
  devicesRevoke,
  devicesRotate,
} from "./devices.ts";
import { logExport, logForks, logList, logVerify } from "./log.ts";
import { start } from "./start.ts";
import { status } from "./status.ts";
import type { Verb } from "./verb.ts";

export const VERBS: readonly Verb[] = [
  start,
  devicesAdd,
  devicesList,
  devicesRotate,
  devicesRevoke,
  devicesAcl,
  devicesPasswords,
  status,
  logList,
  logVerify,
  logExport,
  logForks,
  deadLettersList,
  deadLettersShow,
  deadLettersRetry,
  deadLettersDrop,
  configCheck,
  configSchema,
];
