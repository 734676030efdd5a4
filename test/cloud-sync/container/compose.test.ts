import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { parse } from "yaml";
import { z } from "zod";
import { loadConfig } from "../../../cloud-sync/config/load.ts";
import { createAuthority } from "../../support/certificates.ts";
import { json, porchlight } from "../../support/cli.ts";
import { porchlightCloud, startCentre } from "../../support/cloud.ts";
import { needsMosquitto } from "../../support/mosquitto.ts";
import { freePort } from "../../support/port.ts";
import { needsPostgres, startPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const composing = suite("the centre on real servers, as compose.yaml puts them together");
const FOLDER = "cloud-sync/container";

const composeSchema = z.object({
  services: z.record(
    z.string(),
    z.object({
      image: z.string().optional(),
      environment: z.record(z.string(), z.string()).default({}),
      ports: z.array(z.string()).default([]),
      volumes: z.array(z.string()).default([]),
    }),
  ),
});
const { services } = composeSchema.parse(parse(readFileSync(join(FOLDER, "compose.yaml"), "utf8")));

/** As docker compose fills in what the file .env has to hold. */
function filled(value: string): string {
  const urls: Record<string, string> = {
    DEVICES_URL: "mqtts://door-centre.lan:8883",
    OBJECTS_PUBLIC_URL: "https://door-centre.lan:7443",
  };
  return value.replaceAll(/\$\{([A-Z_]+):\?[^}]*\}/g, (_, name) => {
    return urls[name] ?? `a-${name.toLowerCase()}`;
  });
}

composing("every setting of the centre is one, and all four servers are other people's", () => {
  const given = services["centre"]?.environment ?? {};
  const environment = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, filled(value)]),
  );
  const config = loadConfig({ file: undefined, data: undefined, environment });
  const hosts = [config.database.url, config.mqtt.url, config.objects.url, config.influx.url];
  assert.equal(
    hosts.map((url) => new URL(url ?? "").hostname),
    ["postgres", "mosquitto", "objects", "influxdb"],
  );
  for (const host of ["postgres", "mosquitto", "objects", "influxdb"]) assert.ok(services[host]);
  assert.is(config.devices.url, "mqtts://door-centre.lan:8883");
});

composing("no password has a default, every image a version, and only devices come in", () => {
  for (const [name, { image, environment, ports }] of Object.entries(services)) {
    for (const [key, value] of Object.entries(environment)) {
      const secret = /(PASSWORD|SECRET|TOKEN)/.test(key);
      if (secret) assert.match(value, /^\$\{[A-Z_]+:\?\}$/, `${name} ${key}`);
    }
    if (image !== undefined) assert.match(image, /:v?\d+\.\d+\.\d+/, name);
    const open = ports.filter((port) => !port.startsWith("127.0.0.1:"));
    assert.equal(open, name === "mosquitto" ? ["8883:8883"] : [], name);
  }
});

/** Mosquitto with the file of the container, its paths and ports those of this test. */
async function mosquittoWith(folder: string, ports: { devices: number; centre: number }) {
  const text = readFileSync(join(FOLDER, "mosquitto.conf"), "utf8")
    .replaceAll("/mosquitto/porchlight", folder)
    .replace("listener 8883", `listener ${ports.devices} 127.0.0.1`)
    .replace("listener 1883", `listener ${ports.centre} 127.0.0.1`);
  const file = join(folder, "mosquitto.conf");
  writeFileSync(file, `${process.getuid?.() === 0 ? "user root\n" : ""}${text}`);
  const child: ChildProcess = spawn("/usr/sbin/mosquitto", ["-c", file], { stdio: "ignore" });
  await until("Mosquitto listens", async () => {
    const socket = connect(ports.centre, "127.0.0.1");
    const [event] = await Promise.race([
      once(socket, "connect").then(() => ["connect"]),
      once(socket, "error").then(() => ["error"]),
    ]).catch(() => ["error"]);
    socket.destroy();
    return event === "connect";
  });
  return child;
}

if (needsMosquitto() && needsPostgres()) {
  composing(
    "a device joins through TLS with its password, over the files that we print",
    async () => {
      const temp = tempFolder("compose");
      const [devices, centrePort] = [await freePort(), await freePort()];
      const authority = createAuthority(temp.path);
      const { certificateFile, keyFile } = authority.issue("localhost");
      writeFileSync(join(temp.path, "server.pem"), readFileSync(certificateFile), { mode: 0o600 });
      writeFileSync(join(temp.path, "server.key"), readFileSync(keyFile), { mode: 0o600 });
      const postgres = await startPostgres();
      const cloud = {
        PORCHLIGHT_CLOUD_DATA: temp.path,
        PORCHLIGHT_CLOUD_DATABASE_URL: postgres.freshDatabase(),
        PORCHLIGHT_CLOUD_MQTT_URL: `mqtt://127.0.0.1:${centrePort}`,
        PORCHLIGHT_CLOUD_MQTT_USERNAME: "porchlight-centre",
        PORCHLIGHT_CLOUD_MQTT_PASSWORD: "a-secret-of-this-test",
        PORCHLIGHT_CLOUD_DEVICES_URL: `mqtts://localhost:${devices}`,
        PORCHLIGHT_CLOUD_DEVICES_CA: authority.caFile,
      };
      const door = ["--data", join(temp.path, "door")];
      await porchlight(["init", ...door]);
      const { out } = await porchlight(["log", "export", ...door]);
      const device: string = JSON.parse(out.split("\n")[0] ?? "").data.device;
      const bundle = join(temp.path, "bundle");
      const migrated = await porchlightCloud(["migrate"], cloud);
      assert.is(migrated.code, 0, migrated.err);
      const added = await porchlightCloud(["devices", "add", device, "--out", bundle], cloud);
      assert.is(added.code, 0, added.err);
      const acl = await porchlightCloud(["devices", "acl"], cloud);
      const passwords = await porchlightCloud(["devices", "passwords"], cloud);
      writeFileSync(join(temp.path, "acl"), acl.out, { mode: 0o600 });
      writeFileSync(join(temp.path, "passwords"), passwords.out, { mode: 0o600 });
      assert.not.match(passwords.out, JSON.parse(readFileSync(bundle, "utf8")).password);
      const mosquitto = await mosquittoWith(temp.path, { devices, centre: centrePort });
      const centre = await startCentre([], cloud);
      try {
        assert.is((await porchlight(["sync", "join", bundle, ...door])).code, 0);
        const ran = await porchlight(["sync", "run", "--until-acked", ...door]);
        assert.is(ran.code, 0, ran.err);
        const here = await porchlight(["log", "export", ...door]);
        const there = await porchlightCloud(["log", "export", "--device", device], cloud);
        assert.is(there.out, here.out);
        const wrong = JSON.parse(readFileSync(bundle, "utf8"));
        writeFileSync(bundle, JSON.stringify({ ...wrong, password: "guessed" }));
        assert.is.not((await porchlight(["sync", "join", bundle, ...door])).code, 0);
        const listed = await porchlightCloud(["devices", "list", "--json"], cloud);
        assert.is(json<{ device: string }[]>(listed)[0]?.device, device);
      } finally {
        await centre.stop();
        const ended = once(mosquitto, "exit");
        mosquitto.kill("SIGTERM");
        await ended;
        await postgres.stop();
        temp.remove();
      }
    },
  );
}

composing.run();
