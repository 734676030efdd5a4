import { randomUUID } from "node:crypto";
import { chmodSync } from "node:fs";
import * as assert from "uvu/assert";
import { type ReadyCentre, runCentre } from "../../cloud-sync/centre.ts";
import { cloudConfigSchema } from "../../cloud-sync/config/schema.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { AgentDevice } from "../support/agent.ts";
import { lines } from "../support/central.ts";
import { keepingLogger } from "../support/ingest.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { until } from "../support/until.ts";

const embedded = suite("a centre without servers");

/** A centre in a folder, stopped and started. */
async function start(data: string) {
  const config = cloudConfigSchema.parse({ data, broker: { port: 0 } });
  const { logger, lines: logged } = keepingLogger();
  const stop = new AbortController();
  const options = { config, clock: systemClock, random: Math.random, newId: randomUUID, logger };
  let ended: Promise<void> = Promise.resolve();
  const ready = await new Promise<ReadyCentre>((done, failed) => {
    ended = runCentre(options, done, stop.signal);
    ended.catch(failed);
  });
  return {
    ...ready,
    logged,
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

embedded(
  "a registered device's log arrives, also across a restart; then it is revoked",
  async () => {
    const temp = tempFolder("centre");
    chmodSync(temp.path, 0o755);
    let centre = await start(temp.path);
    const device = new AgentDevice(12_000);
    const password = await centre.devices.add(device.id);
    const account = { username: device.id, password };
    device.start({ url: centre.addresses.mqtt, ...account });
    await until("some is there", async () => (await centre.log.logs()).length === 1);
    await device.stop();
    const stopping = performance.now();
    await centre.stop();
    assert.ok(performance.now() - stopping < 5_000);
    centre = await start(temp.path);
    device.append(500);
    device.start({ url: centre.addresses.mqtt, ...account });
    await until("everything is acknowledged", () => device.lag() === 0);
    for (const [log, expected] of device.logs()) {
      assert.ok((await lines(centre.log, log)).join("\n") === expected.join("\n"));
    }
    const last = (await centre.log.readAfter(0n, 20_000)).at(-1)?.position;
    await until("everything is projected", () =>
      centre.sinks.stats().every(({ position }) => position === last),
    );
    await centre.devices.revoke(device.id);
    await until("it is not let in any more", () =>
      (device.status?.reason ?? "").includes("authentication failed"),
    );
    await device.remove();
    await centre.stop();
    temp.remove();
  },
);

embedded.run();
