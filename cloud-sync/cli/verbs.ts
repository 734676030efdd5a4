/** Every verb, in the order a newcomer meets them. */
import {
  archiveCreate,
  archiveDrop,
  archiveList,
  archiveRestore,
  archiveVerify,
} from "./archive.ts";
import { backupCreate, backupList, backupRestore, backupVerify } from "./backup.ts";
import { configCheck, configMigrate, configSchema } from "./config.ts";
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
import { keysForget, keysList, keysRenew } from "./keys.ts";
import { logExport, logForks, logList, logVerify } from "./log.ts";
import { mediaGet, mediaList } from "./media.ts";
import { metricsQuery } from "./metrics.ts";
import { migrate } from "./migrate.ts";
import { peopleList } from "./people.ts";
import {
  sinksDrop,
  sinksForget,
  sinksList,
  sinksRejects,
  sinksReplay,
  sinksRetry,
} from "./sinks.ts";
import { start } from "./start.ts";
import { status } from "./status.ts";
import type { Verb } from "./verb.ts";
import { visitsList } from "./visits.ts";

export const VERBS: readonly Verb[] = [
  start,
  devicesAdd,
  devicesList,
  devicesRotate,
  devicesRevoke,
  devicesAcl,
  devicesPasswords,
  status,
  visitsList,
  peopleList,
  mediaList,
  mediaGet,
  keysList,
  keysForget,
  keysRenew,
  metricsQuery,
  logList,
  logVerify,
  logExport,
  logForks,
  deadLettersList,
  deadLettersShow,
  deadLettersRetry,
  deadLettersDrop,
  sinksList,
  sinksRejects,
  sinksRetry,
  sinksDrop,
  sinksReplay,
  sinksForget,
  archiveList,
  archiveCreate,
  archiveVerify,
  archiveDrop,
  archiveRestore,
  backupCreate,
  backupList,
  backupVerify,
  backupRestore,
  migrate,
  configCheck,
  configMigrate,
  configSchema,
];
