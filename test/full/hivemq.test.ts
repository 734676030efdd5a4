/** HiveMQ CE: MQTT 5 as its text says, where Mosquitto and aedes are lenient. */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { openLink } from "../../edge/sync/link.ts";
import { encodeMessage, statusSchema } from "../../shared/protocol/wire.ts";
import { AgentDevice } from "../support/agent.ts";
import { arrivalPromises, drained, same } from "../support/arrivals.ts";
import { startCentre } from "../support/cloud.ts";
import { startedTogether } from "../support/copies.ts";
import { needsHivemq, startHivemq } from "../support/hivemq.ts";
import { RunningIngest } from "../support/ingest.ts";
import { needsPostgres } from "../support/postgres.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";
import { until } from "../support/until.ts";

const arriving = suite("a log on its way to the centre, over HiveMQ CE into PostgreSQL");
const never = new AbortController().signal;

if (needsHivemq() && needsPostgres()) {
  const rig = arrivalPromises(arriving, startHivemq);

  arriving(
    "speaks MQTT 5, takes no more at once than it says, and tells who has gone",
    async () => {
      const { broker, log } = rig();
      const device = new AgentDevice(5_000);
      const ingest = new RunningIngest(log, broker);
      await ingest.service.transport.ready;
      device.start(broker);
      await drained(device);
      await same(log, device);
      await until("its status is heard", () =>
        ingest.heard.some((topic) => topic.device === device.id && topic.channel === "status"),
      );
      await device.stop();
      const will = encodeMessage(statusSchema, { state: "offline", version: "test" });
      const statuses: string[] = [];
      const link = await openLink(
        {
          bundle: { format: 1, device: device.id, url: broker.url },
          will,
          channels: ["status"],
          message: (_, payload) => void statuses.push(JSON.parse(String(payload)).state),
        },
        never,
      );
      assert.is(link.protocol, 5);
      assert.ok(link.receiveMaximum < 65_535, `it names its limit: ${link.receiveMaximum}`);
      await until("its last word was kept", () => statuses.includes("offline"));
      await link.close();
      await device.remove();
      await ingest.stop();
      assert.equal(ingest.logged.lines, []);
    },
  );

  arriving("two copies of a device that start together fork without harm", async () => {
    const temp = tempFolder("hivemq-copies");
    chmodSync(temp.path, 0o755);
    const at = ["--data", join(temp.path, "centre")];
    const cloud = { PORCHLIGHT_CLOUD_MQTT_URL: rig().broker.url };
    const centre = await startCentre(at, cloud);
    try {
      await startedTogether({ folder: temp.path, name: "one", at, cloud }, centre);
    } finally {
      await centre.stop();
      temp.remove();
    }
  });
}

arriving.run();
