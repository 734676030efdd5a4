import { type Call, type Verb as VerbOf, verbMaker } from "../../shared/cli/verb.ts";
import type { Logger } from "../../shared/core/logger.ts";
import type { CloudConfig } from "../config/schema.ts";
import type { Devices } from "../fleet/devices.ts";
import type { DeadLetters } from "../log/dead-letters.ts";
import type { CentralLog } from "../log/event-log.ts";
import type { Database } from "../postgres/database.ts";

export type Verb = VerbOf<Invocation>;
export const verb = verbMaker<Invocation>();

/** What the database of a centre holds, its schema up to date. */
export interface OpenCentre {
  readonly database: Database;
  readonly log: CentralLog;
  readonly deadLetters: DeadLetters;
  readonly devices: Devices;
}

/** Everything a verb may use; what it does not ask for is not made. */
export interface Invocation extends Call {
  readonly configFile: string;
  readonly logger: Logger;
  /** The checked configuration, --data and PORCHLIGHT_CLOUD_* applied. */
  config(): CloudConfig;
  /** Connects to the database, whatever is in it; closed when the verb ends. */
  database(): Promise<Database>;
  /** The same, also while a centre runs on it. Throws where its schema is not this program's. */
  centre(): Promise<OpenCentre>;
}
