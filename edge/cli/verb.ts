import { type Call, type Verb as VerbOf, verbMaker } from "../../shared/cli/verb.ts";
import type { DeviceConfig } from "../config/schema.ts";
import type { EventLog } from "../log/event-log.ts";
import type { OpenLog } from "../log/open-log.ts";
import type { Store } from "../store/open-store.ts";

export type Verb = VerbOf<Invocation>;
export const verb = verbMaker<Invocation>();

/** Everything a verb may use; what it does not ask for is not made. */
export interface Invocation extends Call {
  /** `cli:<user>`: the actor of entries that a command appends. */
  readonly actor: string;
  readonly configFile: string;
  /** Given by --data. */
  readonly data: string | undefined;
  /** The checked configuration, --data and PORCHLIGHT_* applied. */
  config(): DeviceConfig;
  /** Opens the store of this configuration; closed when the verb ends. */
  store(): Store;
  /** Opens the log alone: the log key is enough, and nothing sealed can be read. */
  log(): EventLog;
  /** The same, with the log's earlier lives and the agent's cursor. */
  openedLog(): OpenLog;
  /** The environment, for what is passed on to other programs. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}
