import * as assert from "uvu/assert";
import { cursorSchema, GENESIS_HASH, startOf } from "../../../shared/log/cursor.ts";
import { suite } from "../../support/suite.ts";

const cursor = suite("a cursor");
const LOG = "2f1b1e5e-6a53-4c27-9d0e-0f3b6d8f1a11";

cursor("before the first entry has seq 0 and 32 zero bytes", () => {
  assert.equal(startOf(LOG), { log: LOG, seq: 0, hash: GENESIS_HASH });
  assert.equal(Buffer.from(GENESIS_HASH, "hex"), Buffer.alloc(32));
  assert.ok(cursorSchema.safeParse(startOf(LOG)).success);
});

cursor("that is not one is refused at the border", () => {
  const good = startOf(LOG);
  for (const bad of [
    { ...good, log: "door" },
    { ...good, seq: -1 },
    { ...good, seq: 1.5 },
    { ...good, hash: "A".repeat(64) },
    { ...good, hash: "0".repeat(63) },
    { ...good, more: 1 },
    { log: LOG, seq: 0 },
  ]) {
    assert.not(cursorSchema.safeParse(bad).success, JSON.stringify(bad));
  }
});

cursor.run();
