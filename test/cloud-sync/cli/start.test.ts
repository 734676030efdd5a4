import { once } from "node:events";
import { copyFileSync, existsSync } from "node:fs";
import { connect as connectTcp, createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, type PeerCertificate } from "node:tls";
import * as assert from "uvu/assert";
import { createAuthority } from "../../support/certificates.ts";
import { porchlightCloud, startCentre } from "../../support/cloud.ts";
import { freePort } from "../../support/port.ts";
import { needsPostgres, startPostgres } from "../../support/postgres.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const starting = suite("porchlight-cloud start");
/** A start that fails has ended by then: it waited for ever. */
const ENDED_MS = 20_000;

async function takenPort(): Promise<{ readonly server: Server; readonly port: number }> {
  const port = await freePort();
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  return { server, port };
}

/** The certificate that a listener shows. */
async function shown(url: string): Promise<PeerCertificate> {
  const { hostname, port } = new URL(url);
  const socket = connectTls({ host: hostname, port: Number(port), rejectUnauthorized: false });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  const certificate = socket.getPeerCertificate();
  socket.destroy();
  return certificate;
}

if (needsPostgres()) {
  starting("ends, with everything it had started, where a port is taken", async () => {
    const postgres = await startPostgres();
    const folder = tempFolder("start");
    const { server, port } = await takenPort();
    const settings = ["BROKER_PORT", "HTTP_PORT", "HTTP_METRICS_PORT"];
    for (const setting of settings) {
      const ports = Object.fromEntries(settings.map((name) => [`PORCHLIGHT_CLOUD_${name}`, "0"]));
      const began = performance.now();
      const { code, err } = await porchlightCloud(["start", "--data", folder.path], {
        ...ports,
        [`PORCHLIGHT_CLOUD_${setting}`]: String(port),
        PORCHLIGHT_CLOUD_DATABASE_URL: postgres.freshDatabase(),
      });
      assert.is(code, 1, err);
      assert.match(err, `cannot listen on 127.0.0.1:${port}`);
      assert.match(err, `choose another ${setting.toLowerCase().replaceAll("_", ".")}`);
      assert.ok(performance.now() - began < ENDED_MS);
    }
    server.close();
    await postgres.stop();
    folder.remove();
  });

  starting("makes its folder, and waits for a database that is away", async () => {
    const postgres = await startPostgres();
    const folder = tempFolder("start");
    const data = join(folder.path, "not", "there");
    const url = new URL(postgres.freshDatabase());
    const port = url.port;
    url.port = String(await freePort());
    const away = startCentre(["--data", data], { PORCHLIGHT_CLOUD_DATABASE_URL: url.href });
    const proxy = createServer((socket) => {
      const server = connectTcp(Number(port), "127.0.0.1");
      for (const each of [socket, server]) each.on("error", () => undefined);
      socket.pipe(server).pipe(socket);
    });
    // Longer than the retries of one transaction: it used to be given up then.
    await sleep(3_500);
    proxy.listen(Number(url.port), "127.0.0.1");
    const centre = await away;
    assert.match(centre.err(), "start waits: a server is away");
    assert.ok(existsSync(join(data, "centre.json")));
    for (const path of ["/health/ready", "/health/live"]) {
      for (const at of [centre.ready.http, centre.ready.metrics]) {
        assert.is((await fetch(`${at}${path}`)).status, 200);
      }
    }
    assert.is((await fetch(`${centre.ready.http}/metrics`)).status, 404);
    assert.match(await (await fetch(`${centre.ready.metrics}/metrics`)).text(), /_restarts_total/);
    assert.is(await centre.stop(), 0);
    proxy.close();
    await postgres.stop();
    folder.remove();
  });

  starting(
    "serves a renewed certificate after SIGHUP, and keeps the old where it is none",
    async () => {
      const postgres = await startPostgres();
      const folder = tempFolder("start");
      const authority = createAuthority(folder.path);
      const [first, second] = [authority.issue("first"), authority.issue("second")];
      const [certificate, key] = [join(folder.path, "used.pem"), join(folder.path, "used.key")];
      const use = (pair: { certificateFile: string; keyFile: string }): void => {
        copyFileSync(pair.certificateFile, certificate);
        copyFileSync(pair.keyFile, key);
      };
      use(first);
      const centre = await startCentre(["--data", join(folder.path, "data")], {
        PORCHLIGHT_CLOUD_DATABASE_URL: postgres.freshDatabase(),
        PORCHLIGHT_CLOUD_TLS_CERTIFICATE: certificate,
        PORCHLIGHT_CLOUD_TLS_KEY: key,
        PORCHLIGHT_CLOUD_HTTP_HOST: "0.0.0.0",
      });
      const listeners = [centre.ready.mqtt, centre.ready.http.replace("0.0.0.0", "127.0.0.1")];
      const names = async () => {
        const all = await Promise.all(listeners.map(shown));
        return all.map(({ subject }) => subject.CN);
      };
      assert.equal(await names(), ["first", "first"]);
      copyFileSync(second.certificateFile, certificate);
      centre.child.kill("SIGHUP");
      await until("a key of another certificate is refused", () =>
        /certificate failed/.test(centre.err()),
      );
      assert.equal(await names(), ["first", "first"]);
      use(second);
      centre.child.kill("SIGHUP");
      await until("it is reloaded", () => /another certificate is served/.test(centre.err()));
      assert.equal(await names(), ["second", "second"]);
      assert.is(await centre.stop(), 0);
      await postgres.stop();
      folder.remove();
    },
  );

  starting("verbs say what is wrong without a stack, as JSON where it is asked for", async () => {
    const postgres = await startPostgres();
    const folder = tempFolder("verbs");
    const variables = { PORCHLIGHT_CLOUD_DATABASE_URL: postgres.freshDatabase() };
    const run = (...args: string[]) => porchlightCloud([...args, "--data", folder.path], variables);
    assert.is((await run("migrate")).code, 0);
    const wrong = [
      ["visits", "list", "--device", "foo"],
      ["dead-letters", "list", "--device", "'"],
      ["metrics", "query", "telemetry", "x", "--from", "+275000-01-01"],
      ["keys", "forget", "foo", "--yes"],
      ["sinks", "retry", "postgres", "--position", "9999999999999999999"],
    ];
    for (const args of wrong) {
      const { code, err } = await run(...args);
      assert.is(code, 64, `${args}: ${err}`);
      assert.not.match(err, / {4}at /);
    }
    const { code, err, out } = await run("visits", "list", "--device", "foo", "--json");
    assert.equal([code, out], [64, ""]);
    const { error } = JSON.parse(err);
    assert.equal([error.code, error.exitCode], ["cli.usage", 64]);
    assert.match(error.message, "--device");
    const unknown = await run("dead-letters", "show", "12", "--json");
    assert.is(unknown.code, 2);
    assert.is(JSON.parse(unknown.err).error.code, "letter.unknown");
    await postgres.stop();
    folder.remove();
  });
}

starting.run();
