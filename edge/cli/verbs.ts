/** Every verb, in the order a newcomer meets them. */
import { configCheck, configMigrate, configSchema } from "./config.ts";
import { demo } from "./demo.ts";
import { doctor } from "./doctor.ts";
import { enroll } from "./enroll.ts";
import { evaluate } from "./evaluate.ts";
import { identify } from "./identify.ts";
import { init } from "./init.ts";
import { installVerb } from "./install.ts";
import { logExport, logTail } from "./log.ts";
import { logRenew } from "./log-renew.ts";
import { logVerify } from "./log-verify.ts";
import { mediaShow } from "./media.ts";
import {
  modelsBuild,
  modelsList,
  modelsPull,
  modelsReembed,
  modelsUse,
  modelsVerify,
} from "./models.ts";
import {
  peopleList,
  peopleRemove,
  peopleRemoveTemplate,
  peopleRename,
  peopleShow,
} from "./people.ts";
import { ring } from "./ring.ts";
import { start } from "./start.ts";
import { status } from "./status.ts";
import { storeRebuild } from "./store-rebuild.ts";
import { syncRun, syncStatus, syncVerify } from "./sync.ts";
import { syncJoin } from "./sync-join.ts";
import { uninstallVerb } from "./uninstall.ts";
import type { Verb } from "./verb.ts";
import { visitsFollow, visitsList, visitsShow } from "./visits.ts";

export const VERBS: readonly Verb[] = [
  init,
  enroll,
  start,
  doctor,
  status,
  ring,
  peopleList,
  peopleShow,
  peopleRename,
  peopleRemove,
  peopleRemoveTemplate,
  identify,
  evaluate,
  visitsList,
  visitsShow,
  visitsFollow,
  mediaShow,
  logTail,
  logVerify,
  logExport,
  logRenew,
  modelsList,
  modelsBuild,
  modelsPull,
  modelsVerify,
  modelsUse,
  modelsReembed,
  syncJoin,
  syncStatus,
  syncRun,
  syncVerify,
  configCheck,
  configMigrate,
  configSchema,
  storeRebuild,
  installVerb,
  uninstallVerb,
  demo,
];
