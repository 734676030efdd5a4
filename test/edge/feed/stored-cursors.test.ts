import * as assert from "uvu/assert";
import { createUplink } from "../../../edge/feed/uplink.ts";
import { createUploads } from "../../../edge/feed/uploads.ts";
import { createAckedStore, UNSIGNED_SITE } from "../../../edge/log/acked.ts";
import { openLog } from "../../../edge/log/open-log.ts";
import { createUploadedStore } from "../../../edge/log/uploaded.ts";
import { createPut } from "../../../edge/sync/put.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { deviceOf } from "../../support/device.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";
import { bringing } from "../../support/uploads.ts";

const cursors = suite("a stored cursor of the agent");

/** A cursor's store that counts how often it is read. */
function counted<C, W>(store: {
  read(): C;
  write(value: W): void;
}): {
  reads: number;
  read(): C;
  write(value: W): void;
  halted(): null;
  halt(): void;
} {
  return {
    reads: 0,
    read() {
      this.reads++;
      return store.read();
    },
    write: (value) => store.write(value),
    halted: () => null,
    halt: () => undefined,
  };
}

cursors("is read when the uplink is first asked, not when it is made, and once", () => {
  const at = testStore();
  const { reader, database, close } = openLog(at.options);
  const store = counted(createAckedStore(database, UNSIGNED_SITE));
  const common = { device: deviceOf(reader), verifier: null, logger: silentLogger };
  const uplink = createUplink({ reader, store, clock: systemClock, ...common });
  assert.is(store.reads, 0);
  assert.equal(uplink.status().acked, reader.start());
  uplink.lag();
  assert.is(store.reads, 1);
  close();
  at.remove();
});

cursors(
  "is read when uploads first look at the log, not when they are made, and once",
  async () => {
    const at = testStore();
    const { reader, database, close } = openLog(at.options);
    const store = counted(createUploadedStore(database, UNSIGNED_SITE));
    const uploads = createUploads({
      reader,
      store,
      bring: bringing(at.options.folder, createPut({ ca: undefined, local: true })),
      clock: systemClock,
      random: Math.random,
      logger: silentLogger,
    });
    assert.is(store.reads, 0);
    uploads.begin(() => assert.unreachable("an empty log announces no object"));
    const { log, seq, hash } = reader.head();
    for (const acked of [reader.start(), { log, seq, hash }]) uploads.pump(acked);
    assert.is(store.reads, 1);
    await uploads.stop();
    close();
    at.remove();
  },
);

cursors.run();
