/** Follows `person.erased` in every log: its device's keys of that subject are destroyed for good. */

import type { Keyring } from "../../keyring/keyring.ts";
import type { StoredEntry } from "../../log/event-log.ts";
import type { Sink } from "../sink.ts";
import type { DevicesOf } from "../support/device-of-log.ts";

export interface ErasuresOptions {
  readonly keyring: Pick<Keyring, "erase" | "changes">;
  readonly devicesOf: DevicesOf;
}

export function createErasures({ keyring, devicesOf }: ErasuresOptions): Sink {
  return {
    name: "keyring",
    types: ["person.erased"],
    // Its tables are made with the log; this is whether they can be reached.
    async open() {
      await keyring.changes("profile", 0n, 0);
    },
    async write(batch) {
      const devices = await devicesOf(batch.map(({ log }) => log));
      const erased = batch.flatMap(({ log, subject, type }: StoredEntry) => {
        const device = devices.get(log);
        if (type !== "person.erased" || subject === null || device === undefined) return [];
        return [{ device, subject }];
      });
      if (erased.length > 0) await keyring.erase(erased);
      return { rejected: [] };
    },
    close: async () => undefined,
  };
}
