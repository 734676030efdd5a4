import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createAckedStore } from "../../../edge/log/acked.ts";
import { openLog } from "../../../edge/log/open-log.ts";
import { createUploadedStore } from "../../../edge/log/uploaded.ts";
import { createMediaFiles, mediaFolder } from "../../../edge/media/media-files.ts";
import { createPut } from "../../../edge/sync/put.ts";
import { createUplink } from "../../../edge/sync/uplink.ts";
import { createUploads } from "../../../edge/sync/uploads.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { testStore } from "../../support/store.ts";
import { suite } from "../../support/suite.ts";

const cursors = suite("a stored cursor of the agent");

/** A cursor's store that counts how often it is read. */
function counted<C, W>(store: {
  read(): C;
  write(value: W): void;
}): {
  reads: number;
  read(): C;
  write(value: W): void;
} {
  return {
    reads: 0,
    read() {
      this.reads++;
      return store.read();
    },
    write: (value) => store.write(value),
  };
}

cursors("is read when the uplink is first asked, not when it is made, and once", () => {
  const at = testStore();
  const { reader, database, close } = openLog(at.options);
  const store = counted(createAckedStore(database));
  const uplink = createUplink({ reader, store, clock: systemClock, logger: silentLogger });
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
    const store = counted(createUploadedStore(database));
    const uploads = createUploads({
      reader,
      store,
      files: createMediaFiles({ folder: mediaFolder(at.options.folder), newId: randomUUID }),
      put: createPut({ ca: undefined }),
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
