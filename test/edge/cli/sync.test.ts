import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as assert from "uvu/assert";
import { fingerprintOf } from "../../../shared/log/site-key.ts";
import { CentreLink } from "../../support/centre-link.ts";
import { collect, json, porchlight, startPorchlight } from "../../support/cli.ts";
import { type Mosquitto, needsMosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { freePort } from "../../support/port.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const verbs = suite("porchlight sync");
const folder = tempFolder("sync-verbs");
const data = join(folder.path, "data");
const at = ["--data", data];
const bundle = join(folder.path, "door.bundle");

interface Status {
  readonly state: string;
  readonly lagEntries: number;
  readonly lagSeconds: number;
  readonly bufferedBytes: number;
  readonly acked: { readonly seq: number };
  readonly ackedAtMs: number | null;
}

async function status(): Promise<Status> {
  return json<Status>(await porchlight(["sync", "status", ...at, "--json"]));
}

async function deviceId(): Promise<string> {
  const { out } = await porchlight(["log", "export", ...at]);
  return JSON.parse(out.split("\n")[0] ?? "").data.device;
}

function write(more: object): void {
  writeFileSync(bundle, JSON.stringify({ format: 1, ...more }), { mode: 0o600 });
}

verbs.before(async () => {
  const { code, err } = await porchlight(["init", ...at]);
  assert.is(code, 0, err);
});
verbs.after(() => folder.remove());

verbs("before it has joined, running says how to join, and everything counts as lag", async () => {
  const { code, err } = await porchlight(["sync", "run", ...at]);
  assert.is(code, 78, err);
  assert.match(err, "porchlight sync join");
  const { state, lagEntries, bufferedBytes, ackedAtMs } = await status();
  assert.equal([state, lagEntries, ackedAtMs], ["not running", 1, null]);
  assert.ok(bufferedBytes > 100 && bufferedBytes < 1_000);
});

verbs(
  "a bundle that is none, is for another or leads nowhere is refused, and nothing kept",
  async () => {
    const device = await deviceId();
    const url = `mqtt://127.0.0.1:${await freePort()}`;
    const password = "a-secret-word";
    const cases: readonly (readonly [object, string])[] = [
      [{ device, url: "http://127.0.0.1", password }, "wrong or missing: url"],
      [{ device, url: `mqtt://x:${password}@127.0.0.1`, password }, "wrong or missing: url"],
      [{ device: "11111111-2222-4333-8444-555555555555", url, password }, "devices add"],
      [{ device, url, password }, "no connection to 127.0.0.1"],
    ];
    for (const [more, words] of cases) {
      write(more);
      const { code, out, err } = await porchlight(["sync", "join", bundle, ...at]);
      assert.is.not(code, 0);
      assert.match(err, words);
      assert.not.match(out + err, password);
    }
    const { code } = await porchlight(["sync", "run", ...at]);
    assert.is(code, 78);
  },
);

verbs("the site's key lies where the agent cannot enter, and says its fingerprint", async () => {
  const device = await deviceId();
  const place = join(data, "vault", "site-key");
  const joinWith = async (more: object) => {
    write({ device, url: "mqtt://127.0.0.1:1", ...more });
    const ran = await porchlight(["sync", "join", bundle, "--unchecked", ...at, "--json"]);
    assert.is(ran.code, 0, ran.err);
    return json<{ siteKey: string | null }>(ran).siteKey;
  };
  const site = Buffer.alloc(32, 7).toString("base64");
  assert.is(await joinWith({ site }), fingerprintOf(Buffer.alloc(32, 7)));
  assert.is(readFileSync(place, "utf8").trim(), site);
  assert.is(statSync(dirname(place)).mode & 0o777, 0o700);
  assert.is(await joinWith({}), null, "a bundle from before there were such keys");
  assert.not.ok(existsSync(place));
  write({ device, url: "mqtt://127.0.0.1:1", site: "AAAA" });
  const { code, err } = await porchlight(["sync", "join", bundle, "--unchecked", ...at]);
  assert.is.not(code, 0);
  assert.match(err, "wrong or missing: site");
  rmSync(join(data, "sync"), { recursive: true });
});

if (needsMosquitto()) {
  let broker: Mosquitto;
  let link: CentreLink;
  verbs.before(async () => {
    broker = await startMosquitto();
    link = new CentreLink(broker.url);
    await until("the centre is connected", () => link.client.connected);
  });
  verbs.after(async () => {
    link.client.end(true);
    await broker.stop();
  });

  verbs("joined, it sends what there is; status and verify say so", async () => {
    write({ device: await deviceId(), url: broker.url });
    const joined = await porchlight(["sync", "join", bundle, ...at, "--json"]);
    assert.is(joined.code, 0, joined.err);
    assert.is(statSync(join(data, "sync/bundle.json")).mode & 0o777, 0o600);
    const ran = await porchlight(["sync", "run", "--until-acked", ...at]);
    assert.is(ran.code, 0, ran.err);
    const { out } = await porchlight(["log", "export", ...at]);
    const { log } = JSON.parse(out.split("\n")[0] ?? "");
    assert.equal(link.centre.lines(log), out.trimEnd().split("\n"), "the two exports are equal");
    const { state, lagEntries, lagSeconds, bufferedBytes, acked } = await status();
    assert.equal([state, lagEntries, lagSeconds, bufferedBytes], ["not running", 0, 0, 0]);
    assert.is(acked.seq, link.centre.lines(log).length);
    const verified = json<{ fault: unknown }>(
      await porchlight(["sync", "verify", ...at, "--json"]),
    );
    assert.is(verified.fault, null);
    const told = JSON.parse(readFileSync(join(data, "sync/status.json"), "utf8"));
    assert.is(told.state, "stopped");
  });

  verbs("the agent keeps to log.level as well", async () => {
    const sync = ["sync", "run", "--until-acked", ...at];
    assert.match((await porchlight(sync)).err, "connected to the centre");
    const { code, err } = await porchlight(sync, { PORCHLIGHT_LOG_LEVEL: "error" });
    assert.is(code, 0);
    assert.not.match(err, '"level":"info"');
  });

  verbs("killed, the command leaves no agent behind", async () => {
    const told = () => JSON.parse(readFileSync(join(data, "sync/status.json"), "utf8"));
    const command = startPorchlight(["sync", "run", ...at]);
    const ran = collect(command);
    await until("the agent is connected", () => told().state === "connected");
    const { pid } = told();
    assert.is.not(pid, command.pid);
    command.kill("SIGKILL");
    await ran;
    await until("the agent has said goodbye", () => told().state === "stopped");
    await until("it is gone", () => !existsSync(`/proc/${pid}`));
  });

  verbs("a bundle that others may read is not used", async () => {
    const kept = join(data, "sync/bundle.json");
    writeFileSync(join(folder.path, "open.json"), readFileSync(kept), { mode: 0o644 });
    const environment = { PORCHLIGHT_SYNC_BUNDLE_FILE: join(folder.path, "open.json") };
    const { code, err } = await porchlight(["sync", "run", ...at], environment);
    assert.is(code, 78);
    assert.match(err, "chmod 600");
  });
}

verbs.run();
