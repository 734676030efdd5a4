import * as assert from "uvu/assert";
import { hearCentre } from "../../../edge/feed/hear-centre.ts";
import type { ReleasedKeys } from "../../../edge/feed/released-keys.ts";
import type { Uploads } from "../../../edge/feed/uploads.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import type { Cursor } from "../../../shared/log/cursor.ts";
import { GENESIS_HASH } from "../../../shared/log/cursor.ts";
import { HEARD_CHANNELS } from "../../../shared/protocol/feed.ts";
import { Centre } from "../../support/centre.ts";
import { CrashingDevice, DeviceTemplate } from "../../support/crashing-device.ts";
import { seeded, seededId } from "../../support/facts.ts";
import { Faults } from "../../support/faults.ts";
import { mutate } from "../../support/mutate.ts";
import { suite } from "../../support/suite.ts";

const fuzzing = suite("what nobody should say to a device");
const template = new DeviceTemplate();
fuzzing.after(() => template.remove());

const SEED = Number(process.env["PORCHLIGHT_TEST_SEED"] ?? 1);
const MESSAGES = 100_000;
/** A halt is only ended by a person: then the agent is begun anew, or nothing more would be tried. */
const PER_AGENT = 100;
const WHOLE_PART = 0.02;
/** Nothing waits to be uploaded: a grant for it is one that nobody asked for. */
const silentUploads: Uploads = {
  begin: () => undefined,
  pump: () => undefined,
  onGrant: () => undefined,
  stop: async () => undefined,
};
/** Nor is a key told of. */
const silentKeys: ReleasedKeys = {
  begin: () => undefined,
  pump: () => undefined,
  onAck: () => undefined,
};
const REASONS = ["gap", "fork", "invalid"];

/** Every place of the device, as it stands there; the one before each first entry as well. */
function placesOf(device: CrashingDevice): Map<string, Cursor> {
  const places = new Map<string, Cursor>();
  const add = (place: Cursor): void => void places.set(keyOf(place), place);
  for (const log of device.logs().keys()) {
    add({ log, seq: 0, hash: GENESIS_HASH });
    device.places(log).forEach(add);
  }
  return places;
}

function keyOf({ log, seq, hash }: Cursor): string {
  return `${log}:${seq}:${hash}`;
}

fuzzing("100,000 damaged answers: none ends the agent, or moves it to where it is not", () => {
  const random = seeded(SEED);
  const pick = <T>(all: readonly T[], otherwise: T): T =>
    all[Math.floor(random() * all.length)] ?? otherwise;
  const device = new CrashingDevice(template, new Faults(() => false), () => seededId(random));
  device.append(20);
  device.renew();
  device.append(20);
  const places = placesOf(device);
  const all = [...places.values()];
  let answered = 0;
  const options = {
    get uplink() {
      return device.uplink;
    },
    uploads: silentUploads,
    keys: silentKeys,
    logger: silentLogger,
  };
  for (let sent = 0; sent < MESSAGES; sent++) {
    const place = pick(all, device.uplink.status().acked);
    // A true hash in another place, and another log's place: nothing in its form is wrong.
    const other = pick(all, place);
    const crossed = random() < 0.1 ? { ...place, seq: other.seq } : place;
    const answer = random() < 0.5 ? crossed : { ...crossed, reason: pick(REASONS, "gap") };
    const whole = Buffer.from(JSON.stringify(answer));
    const payload = random() < WHOLE_PART ? whole : mutate(whole, random);
    if (hearCentre(options, pick(HEARD_CHANNELS, "ack"), payload)) answered++;
    device.pump();
    device.pass(random() * 1_000);
    assert.ok(places.has(keyOf(device.uplink.status().acked)), `seed ${SEED}, message ${sent}`);
    if (sent % PER_AGENT === 0) device.restart();
    device.wire.splice(0);
  }
  assert.ok(answered > MESSAGES / 100 && answered < MESSAGES / 2, "some of it could be read");

  // And it goes on as if nothing had been: the centre says where it stands.
  device.restart();
  const centre = new Centre();
  for (let turn = 0; turn < 20; turn++) {
    device.append(1);
    device.pump();
    device.pass(5_000);
    for (const batch of device.wire.splice(0)) device.hear(centre.receive(batch));
  }
  for (const [log, lines] of device.logs()) assert.equal(centre.lines(log), lines);
  device.close();
});

fuzzing.run();
