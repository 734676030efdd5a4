import { randomBytes, randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createKeyring } from "../../../../cloud-sync/keyring/keyring.ts";
import { createKeyErasure } from "../../../../cloud-sync/sinks/key-erasure/sink.ts";
import { createLogOwners } from "../../../../cloud-sync/sinks/support/device-of-log.ts";
import { siteIdOf } from "../../../../shared/log/site-key.ts";
import { wrapKey } from "../../../../shared/log/wrap.ts";
import { Central, Device } from "../../../support/central.ts";
import { DirectProjection } from "../../../support/direct-projection.ts";
import { startFast } from "../../../support/engines.ts";
import { needsPostgres } from "../../../support/postgres.ts";
import { newSite } from "../../../support/released.ts";
import { suite } from "../../../support/suite.ts";

const erasing = suite("erasing keys in the centre");
const central = new Central(startFast);
const site = newSite();
const siteId = siteIdOf(site.publicKey);

if (needsPostgres()) {
  erasing.before.each(() => central.begin());
  erasing.after.each(() => central.end());
  erasing.after(() => central.stop());

  erasing("with a person go the keys of the visits linked to them, in whatever order", async () => {
    const { database } = central;
    const [a, b] = [new Device(3), new Device(3)];
    await central.log.append([a.arrival(), b.arrival()]);
    const keyring = createKeyring({ database, site });
    const devicesOf = createLogOwners(database);
    const erasures = new DirectProjection(database, createKeyErasure({ keyring, devicesOf }));
    const person = randomUUID();
    const visits = Array.from({ length: 5 }, () => randomUUID());
    const [before = "", decided = "", late = "", others = "", never = ""] = visits;
    const release = async (device: string, subject: string): Promise<void> => {
      const place = { device, subject, class: "media" } as const;
      const wrapped = await wrapKey(site.publicKey, place, randomBytes(32));
      const key = { subject, class: place.class, number: 1, wrapped: wrapped.toString("base64") };
      await keyring.keep(device, siteId, [key]);
    };
    for (const subject of [...visits, person]) await release(a.device, subject);
    const [first] = await central.log.readAfter(0n, 1);
    assert.ok(first);
    const told = (log: string, type: string, subject: string, data: object) => ({
      ...first,
      ...{ log, type, subject, body: JSON.stringify({ clock: "synced", data, sealed: null }) },
    });
    const erased = (log: string) => told(log, "person.erased", person, { reason: "requested" });
    const linked = (visit: string, log = a.log) =>
      told(log, "visit.linked", visit, { person, visit });
    const decision = { visit: decided, revision: 1, decision: { person } };
    // Nobody links another's visit, and nobody's erasure reaches another's.
    await erasures.write([linked(others, b.log), erased(b.log)]);
    await erasures.write([linked(before), told(a.log, "visit.recognised", decided, decision)]);
    const held = async () => (await keyring.count()).map((each) => [each.device, each.held]);
    assert.equal(await held(), [[a.device, 6]]);
    await erasures.write([erased(a.log), linked(late)]);
    assert.equal(await held(), [[a.device, 2]]);
    for (const subject of [...visits, person]) await release(a.device, subject);
    assert.equal(await held(), [[a.device, 2]], `${others} and ${never} alone`);
    const stranger = told(a.log, "visit.recognised", never, {
      visit: never,
      decision: { person: null },
    });
    await erasures.write([stranger, erased(a.log)]);
    assert.equal(await held(), [[a.device, 2]]);
  });
}

erasing.run();
