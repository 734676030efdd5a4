import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { CENTRE_USER } from "../../cloud-sync/mqtt/topic-acl.ts";
import { type CentreProcess, startCentre } from "./cloud.ts";
import { seeded } from "./facts.ts";
import { fuzzHttp, fuzzMqtt, fuzzTopics } from "./fuzz-centre.ts";
import { honestDevice, honestLog } from "./honest-device.ts";
import { startMosquitto } from "./mosquitto.ts";
import { type PostgresServer, PROGRAMS, startPostgres } from "./postgres.ts";
import { tempFolder } from "./temp.ts";
import { until } from "./until.ts";
import { peakMiB } from "./usage.ts";

const MEMORY_MIB_MAX = 512;

function register({ port }: PostgresServer, url: string, devices: readonly string[]): void {
  const ids = devices.map((id) => `('${id}'::uuid)`).join(",");
  const statement = `INSERT INTO devices (device, password_hash, salt)
    SELECT id, sha256('x'), decode(repeat('00', 16), 'hex') FROM (VALUES ${ids}) AS row (id)`;
  const database = new URL(url).pathname.slice(1);
  const place = ["-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", "-qd", database];
  execFileSync(join(PROGRAMS, "psql"), place, { input: statement, stdio: "pipe" });
}

/**
 * Sends so many requests and messages to a centre on real servers, and to one with a broker of its
 * own; an honest device gets its acks in both after it, and neither has ended.
 */
export async function fuzzCentres(count: number): Promise<void> {
  const seed = Number(process.env["PORCHLIGHT_TEST_SEED"] ?? Date.now() % 1_000_000);
  process.stdout.write(`SEED=${seed} `);
  const random = seeded(seed);
  const postgres = await startPostgres();
  const broker = await startMosquitto({ config: ["max_queued_messages 0"] });
  const folder = tempFolder("fuzzed");
  const settings = {
    PORCHLIGHT_CLOUD_DATABASE_URL: postgres.freshDatabase(),
    PORCHLIGHT_CLOUD_LOG_LEVEL: "error",
    PORCHLIGHT_CLOUD_SINKS_RUN: "false",
  };
  const start = (name: string, more: Record<string, string>): Promise<CentreProcess> =>
    startCentre(["--data", `${folder.path}/${name}`], { ...settings, ...more });
  const ofOthers = await start("others", {
    PORCHLIGHT_CLOUD_MQTT_URL: broker.url,
    PORCHLIGHT_CLOUD_MQTT_USERNAME: CENTRE_USER,
  });
  try {
    await fuzzHttp(ofOthers.ready.http, Math.ceil(count / 2), random);
    await fuzzHttp(ofOthers.ready.metrics, Math.floor(count / 2), random);
    const log = honestLog();
    // So many that none of them is over its budget before its messages are looked at.
    const devices = Array.from({ length: Math.ceil(count / 50) }, () => randomUUID());
    register(postgres, settings.PORCHLIGHT_CLOUD_DATABASE_URL, [log.device, ...devices]);
    await fuzzTopics({ url: broker.url, devices }, count, random);
    const device = await honestDevice(broker.url, log);
    for (let entry = 0; entry < 5; entry++) await device.next();
    await device.end();
    assert.is((await fetch(`${ofOthers.ready.http}/health/ready`)).status, 200);
    assert.ok(peakMiB(ofOthers.child.pid ?? 0) < MEMORY_MIB_MAX);
    await broker.kill();
    await until("health knows that the broker is away", async () => {
      const response = await fetch(`${ofOthers.ready.http}/health/ready`);
      const { broker: problem } = Object(await response.json());
      return response.status === 503 && String(problem).startsWith("0 of");
    });
  } finally {
    assert.is(await ofOthers.stop(), 0, ofOthers.err());
  }
  settings.PORCHLIGHT_CLOUD_DATABASE_URL = postgres.freshDatabase();
  const own = await start("own", {});
  try {
    await fuzzMqtt(own.ready.mqtt, count, random);
    assert.is((await fetch(`${own.ready.http}/health/ready`)).status, 200);
    assert.ok(peakMiB(own.child.pid ?? 0) < MEMORY_MIB_MAX);
  } finally {
    assert.is(await own.stop(), 0, own.err());
  }
  await broker.stop();
  await postgres.stop();
  folder.remove();
}
