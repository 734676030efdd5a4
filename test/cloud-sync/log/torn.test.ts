import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { type CentralLog, createCentralLog } from "../../../cloud-sync/log/event-log.ts";
import { createDatabase } from "../../../cloud-sync/postgres/database.ts";
import { PorchlightError } from "../../../shared/core/errors.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { lineOf } from "../../../shared/log/chain.ts";
import { Device, lines } from "../../support/central.ts";
import { seeded } from "../../support/facts.ts";
import { needsPostgres, startPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";

const torn = suite("every entry is in the central log once");

const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const ENTRIES = 120;
const DEVICES = 6;
const KILLS = 4;

/** Sends a device's log as an agent does: from what was acknowledged last, in batches of any size. */
async function send(door: Device, log: CentralLog, random: () => number): Promise<void> {
  for (let acked = 0; acked < ENTRIES; ) {
    // Sent again, sent twice, sent ahead: whatever a network does to messages.
    const first = Math.max(1, Math.min(ENTRIES, acked + 1 + Math.floor(random() * 5) - 2));
    const last = Math.min(ENTRIES, first + Math.floor(random() * 9));
    const arrival = door.arrival(first, last);
    const arrivals = random() < 0.2 ? [arrival, arrival] : [arrival];
    try {
      for (const { kind, cursor } of await log.append(arrivals)) {
        assert.ok(["appended", "duplicate", "gap"].includes(kind), kind);
        assert.equal(cursor, door.at(cursor.seq));
        assert.ok(cursor.seq >= acked, "nothing acknowledged is ever lost");
        acked = cursor.seq;
      }
    } catch (error) {
      if (!(error instanceof PorchlightError) || error.remedy !== "retry") throw error;
      await sleep(20);
    }
  }
}

if (needsPostgres()) {
  torn(
    `though messages are lost, doubled and early and the server is killed, seed ${SEED}`,
    async () => {
      const random = seeded(SEED);
      const server = await startPostgres();
      const url = server.freshDatabase();
      const instances = [1, 2].map(() =>
        createDatabase({ url, logger: silentLogger, random: Math.random }),
      );
      const logs = instances.map(createCentralLog);
      await Promise.all(logs.map((log) => log.open()));
      const doors = Array.from({ length: DEVICES }, () => new Device(ENTRIES));
      let sending = true;
      const killing = (async (): Promise<void> => {
        for (let kill = 0; kill < KILLS && sending; kill++) {
          await sleep(50 + random() * 100);
          await server.kill();
          await server.restart();
        }
      })();
      const work = logs.map((log, i) =>
        doors.filter((_, j) => j % 2 === i).map((door) => send(door, log, random)),
      );
      await Promise.all(work.flat());
      sending = false;
      await killing;
      const [log] = logs;
      assert.ok(log);
      for (const door of doors) {
        assert.equal(await lines(log, door.log), door.links.map(lineOf));
        const { entries, fault } = await log.verify(door.log, []);
        assert.equal([entries, fault], [ENTRIES, null]);
      }
      assert.is((await log.readAfter(0n, 10_000)).length, DEVICES * ENTRIES);
      await Promise.all(instances.map((instance) => instance.close()));
      await server.stop();
    },
  );
}

torn.run();
