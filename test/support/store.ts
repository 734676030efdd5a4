import { randomBytes, randomUUID } from "node:crypto";
import { createStore } from "../../edge/store/create-store.ts";
import { openStore, type Store, type StoreOptions } from "../../edge/store/open-store.ts";
import { type Clock, systemClock } from "../../shared/core/clock.ts";
import { tempFolder } from "./temp.ts";

/** A real, encrypted store in a folder of its own. `reopen` closes it and opens it again. */
export interface TestStore {
  readonly options: StoreOptions;
  readonly store: Store;
  reopen(): Store;
  remove(): void;
}

export function testStore(
  clock: Clock = systemClock,
  clockState: StoreOptions["clockState"] = () => "synced",
  folder: ReturnType<typeof tempFolder> = tempFolder("store"),
): TestStore {
  const options: StoreOptions = {
    folder: folder.path,
    logKey: randomBytes(32),
    vaultKey: randomBytes(32),
    clock,
    clockState,
    newId: randomUUID,
  };
  createStore(options);
  let store = openStore(options);
  return {
    options,
    get store() {
      return store;
    },
    reopen() {
      store.close();
      store = openStore(options);
      return store;
    },
    remove() {
      store.close();
      folder.remove();
    },
  };
}
