import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import mqtt from "mqtt";
import * as assert from "uvu/assert";
import { VERBS } from "../../../cloud-sync/cli/verbs.ts";
import { verbHelp } from "../../../shared/cli/help.ts";
import { topicOf } from "../../../shared/protocol/wire.ts";
import { json, porchlight } from "../../support/cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "../../support/cloud.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const verbs = suite("porchlight-cloud");
const folder = tempFolder("cloud-verbs");
chmodSync(folder.path, 0o755);
const data = join(folder.path, "centre");
const at = ["--data", data];
const door = ["--data", join(folder.path, "door")];
const bundle = join(folder.path, "door.bundle");
let centre: CentreProcess;
let device: string;

verbs.before(async () => {
  const made = await porchlight(["init", ...door]);
  assert.is(made.code, 0, made.err);
  const { out } = await porchlight(["log", "export", ...door]);
  device = JSON.parse(out.split("\n")[0] ?? "").data.device;
  centre = await startCentre(at);
});
verbs.after(async () => {
  await centre.stop();
  folder.remove();
});

verbs("every verb has a help with an example, and exits 0 for it", async () => {
  for (const verb of VERBS) {
    const help = verbHelp({ name: "porchlight-cloud", options: {} }, verb);
    assert.ok(help.includes(`example: ${verb.example}`), verb.name);
    assert.ok(help.includes(`usage: porchlight-cloud ${verb.name}`), verb.name);
    assert.match(verb.example, "porchlight-cloud ");
    for (const option of Object.keys(verb.options)) {
      assert.match(help, new RegExp(`--?${option}\\b`), `${verb.name} explains ${option}`);
    }
  }
  const { code, out } = await porchlightCloud(["devices", "add", "--help"]);
  assert.is(code, 0);
  assert.match(out, "--data DIR");
});

verbs("a wrong command line exits 64 and says what was meant", async () => {
  for (const [args, words] of [
    [["devces", "list"], "did you mean devices list?"],
    [["devices"], "devices add, devices list"],
    [["devices", "add", "x"], "--out BUNDLE is missing"],
    [["dead-letters", "drop", "1"], "--yes"],
    [["dead-letters", "show", "one"], "named by its number"],
    [["start", "--dta", "x"], "did you mean --data?"],
  ] as const) {
    const ran = await porchlightCloud(args);
    assert.is(ran.code, 64, args.join(" "));
    assert.ok(ran.err.includes(words), `${args}: ${ran.err}`);
    assert.match(ran.err, /see: porchlight-cloud .*--help/);
  }
});

verbs("from two empty folders to two equal exports, beside a centre that runs", async () => {
  assert.is(centre.lines.length, 1, "one line says that it is ready");
  const added = await porchlightCloud(["devices", "add", device, "--out", bundle, ...at]);
  assert.is(added.code, 0, added.err);
  assert.is(statSync(bundle).mode & 0o777, 0o600);
  const { password } = JSON.parse(readFileSync(bundle, "utf8"));
  assert.not.match(added.out + added.err, password);
  const joined = await porchlight(["sync", "join", bundle, ...door, "--json"]);
  assert.is(joined.code, 0, joined.err);
  const { siteKey } = json<{ siteKey: string }>(joined);
  assert.match(siteKey, /^([0-9a-f]{4} ){7}[0-9a-f]{4}$/);
  for (const told of [added, await porchlightCloud(["status", ...at])]) {
    assert.match(told.out, siteKey, "both ends say the same key");
  }
  const ran = await porchlight(["sync", "run", "--until-acked", ...door]);
  assert.is(ran.code, 0, ran.err);
  const [here, there] = await Promise.all([
    porchlight(["log", "export", ...door]),
    porchlightCloud(["log", "export", "--device", device, ...at]),
  ]);
  assert.ok(here.out.length > 100);
  assert.is(there.out, here.out);
  const verified = await porchlightCloud(["log", "verify", ...at, "--json"]);
  const [report] = json<{ fault: unknown; device: string }[]>(verified);
  assert.equal([report?.fault, report?.device], [null, device]);
  const same = await porchlightCloud(["devices", "add", device, "--out", bundle, ...at]);
  assert.is(same.code, 1);
  assert.match(same.err, "devices rotate");
});

verbs("what a device says of itself is listed, and in the figures, without its name", async () => {
  const listed = async () =>
    json<{ device: string; presence: { online: boolean } | null }[]>(
      await porchlightCloud(["devices", "list", ...at, "--json"]),
    );
  await until("its goodbye was heard", async () => {
    const [only] = await listed();
    return only?.device === device && only.presence?.online === false;
  });
  const { http, metrics } = centre.ready;
  for (const path of ["/health/live", "/health/ready"]) {
    assert.is((await fetch(`${http}${path}`)).status, 200, path);
  }
  assert.is((await fetch(`${http}/nothing`)).status, 404);
  const stats = await (await fetch(`${metrics}/metrics`)).text();
  assert.match(stats, /^porchlight_ingest_entries_total [1-9]/m);
  assert.match(stats, /^porchlight_devices_registered 1$/m);
  assert.match(stats, /^porchlight_ingest_commit_seconds_count [1-9]/m);
  assert.match(stats, /^porchlight_keys_held\{class="biometric"\} 0$/m);
  assert.not.match(stats, device);
  const status = await porchlightCloud(["status", ...at, "--json"]);
  const { running, entries, devices } = json<{
    running: { mqtt: string };
    entries: number;
    devices: { registered: number };
  }>(status);
  assert.equal([running.mqtt, devices.registered], [centre.ready.mqtt, 1]);
  assert.ok(entries > 0);
});

verbs(
  "a message that is no batch is listed, shown as it came, tried again and dropped",
  async () => {
    const { password } = JSON.parse(readFileSync(bundle, "utf8"));
    const client = await mqtt.connectAsync(centre.ready.mqtt, {
      protocolVersion: 4,
      clientId: `porchlight-${device}`,
      username: device,
      password,
    });
    await client.publishAsync(topicOf({ device, channel: "log" }), "no batch at all", { qos: 1 });
    await client.endAsync();
    const list = async () =>
      json<{ id: number; device: string; reason: string }[]>(
        await porchlightCloud(["dead-letters", "list", ...at, "--json"]),
      );
    await until("it is a dead letter", async () => (await list()).length === 1);
    const [letter] = await list();
    assert.is(letter?.device, device);
    const id = `${letter?.id}`;
    const shown = await porchlightCloud(["dead-letters", "show", id, ...at]);
    assert.is(shown.out, "no batch at all");
    const retried = await porchlightCloud(["dead-letters", "retry", id, ...at]);
    assert.is(retried.code, 1);
    assert.match(retried.out, "stays here");
    assert.is((await porchlightCloud(["dead-letters", "drop", id, "--yes", ...at])).code, 0);
    assert.is((await porchlightCloud(["dead-letters", "show", id, ...at])).code, 2);
    assert.equal(await list(), []);
  },
);

verbs("a second centre on the same folder does not start", async () => {
  const { code, err } = await porchlightCloud(["start", ...at], {
    PORCHLIGHT_CLOUD_BROKER_PORT: "0",
    PORCHLIGHT_CLOUD_HTTP_PORT: "0",
  });
  assert.is(code, 1);
  assert.match(err, "in use by another process");
  assert.is((await porchlightCloud(["status", ...at])).code, 0, "and the first one is as it was");
});

verbs("a rotated password lets in the new bundle alone, a revoked device none", async () => {
  const next = join(folder.path, "next.bundle");
  assert.is((await porchlightCloud(["devices", "rotate", device, "--out", next, ...at])).code, 0);
  assert.is.not((await porchlight(["sync", "join", bundle, ...door])).code, 0);
  assert.is((await porchlight(["sync", "join", next, ...door])).code, 0);
  assert.is((await porchlightCloud(["devices", "revoke", device, ...at])).code, 0);
  assert.is.not((await porchlight(["sync", "join", next, ...door])).code, 0);
  assert.is((await porchlightCloud(["devices", "revoke", crypto.randomUUID(), ...at])).code, 2);
});

verbs("what the configuration holds is shown without its secrets", async () => {
  const file = join(folder.path, "cloud.yaml");
  const secret = "a-secret-word";
  writeFileSync(
    file,
    `database: {url: "postgres://me:${secret}@db.lan/porchlight"}\n` +
      `mqtt: {url: "mqtts://broker.lan", username: centre, password: ${secret}}\n`,
  );
  const { code, out, err } = await porchlightCloud(["config", "check", "--config", file]);
  assert.is(code, 0, err);
  assert.match(out, "database.url = postgres://…@db.lan/porchlight");
  assert.match(out, "mqtt.password = (set)");
  assert.not.match(out + err, secret);
});

verbs("it ends within five seconds, and says no more that it runs", async () => {
  const started = performance.now();
  assert.is(await centre.stop(), 0);
  assert.ok(performance.now() - started < 5_000);
  assert.not.ok(existsSync(join(data, "centre.json")));
  const status = await porchlightCloud(["status", ...at, "--json"]);
  assert.equal(json<{ running: unknown }>(status).running, null);
});

verbs("others on the network get in through TLS alone, by certificates of our own", async () => {
  const open = {
    PORCHLIGHT_CLOUD_BROKER_HOST: "0.0.0.0",
    PORCHLIGHT_CLOUD_TLS_NAMES: "[localhost, 127.0.0.1]",
  };
  const secure = await startCentre(at, open);
  try {
    const made = await porchlightCloud(["devices", "rotate", device, "--out", bundle, ...at], open);
    assert.is(made.code, 0, made.err);
    const { url, ca } = JSON.parse(readFileSync(bundle, "utf8"));
    assert.match(url, /^mqtts:\/\/localhost:\d+$/);
    assert.match(ca, "BEGIN CERTIFICATE");
    const joined = await porchlight(["sync", "join", bundle, ...door]);
    assert.is(joined.code, 0, joined.err);
    assert.is((await porchlight(["sync", "run", "--until-acked", ...door])).code, 0);
    const plain = mqtt.connectAsync(url.replace("mqtts", "mqtt"), { connectTimeout: 1_000 }, false);
    await plain.then(
      () => assert.unreachable("a plain connection was let in"),
      () => undefined,
    );
    const stranger = mqtt.connectAsync(url, { connectTimeout: 1_000 }, false);
    const refusal = await stranger.catch((error: Error) => error.message);
    assert.match(String(refusal), /certificate/, "an authority that is not named is not trusted");
  } finally {
    await secure.stop();
  }
});

verbs.run();
