import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { loadConfig } from "../../../cloud-sync/config/load.ts";
import { createServedIdentity } from "../../../cloud-sync/host/served-identity.ts";
import { openIdentity } from "../../../cloud-sync/host/tls-identity.ts";
import { keepingLogger } from "../../support/ingest.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const serving = suite("the certificate that is served");
const DAY_S = 86_400;

function pairIn(folder: string, days: number, name = "named") {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  const files = ["-nodes", "-keyout", key, "-out", certificate];
  const subject = ["-subj", "/CN=localhost", "-days", String(days)];
  execFileSync("openssl", [...words, ...files, ...subject], { stdio: "ignore" });
  return { key, certificate };
}

function servedIn(folder: string) {
  const { key, certificate } = pairIn(folder, 90);
  const environment = {
    PORCHLIGHT_CLOUD_DATA: folder,
    PORCHLIGHT_CLOUD_TLS_KEY: key,
    PORCHLIGHT_CLOUD_TLS_CERTIFICATE: certificate,
  };
  const config = loadConfig({ file: undefined, data: undefined, environment });
  const open = () => openIdentity(config, Date.now());
  return { key, certificate, open };
}

serving("is another one once its files are, and what cannot be used is not", async () => {
  const temp = tempFolder("served");
  const { key, certificate, open } = servedIn(temp.path);
  const logged = keepingLogger();
  const renewed: string[] = [];
  const served = createServedIdentity({
    served: await open(),
    open,
    renew: (identity) => renewed.push(identity.certificate),
    now: Date.now,
    logger: logged.logger,
  });
  await served.reload();
  assert.equal(renewed, [], "nothing has changed");
  const other = pairIn(temp.path, 60, "other");
  // As certbot does it, looked at in the middle: the certificate is there, its key is not.
  writeFileSync(certificate, readFileSync(other.certificate));
  await served.reload();
  assert.equal(renewed, []);
  assert.match(logged.lines.join("\n"), "tls.unusable");
  writeFileSync(key, readFileSync(other.key));
  await served.reload();
  assert.equal(renewed, [readFileSync(other.certificate, "utf8")]);
  assert.ok(Math.abs((served.expiresInS() ?? 0) - 60 * DAY_S) < DAY_S);
  temp.remove();
});

serving("is warned of 30 days before it runs out, once a day", async () => {
  const temp = tempFolder("served");
  const { open } = servedIn(temp.path);
  const logged = keepingLogger();
  let nowMs = Date.now();
  const options = { served: await open(), open, renew: () => undefined, now: () => nowMs };
  const served = createServedIdentity({ ...options, logger: logged.logger });
  const warned = (): number => logged.lines.filter((line) => line.includes("runs out")).length;
  await served.reload();
  assert.is(warned(), 0);
  nowMs += 61 * DAY_S * 1_000;
  await served.reload();
  await served.reload();
  assert.is(warned(), 1);
  nowMs += DAY_S * 1_000;
  await served.reload();
  assert.is(warned(), 2);
  nowMs += 60 * DAY_S * 1_000;
  assert.ok((served.expiresInS() ?? 0) < 0);
  temp.remove();
});

serving("that cannot be used at a start says which file, and how to look at it", async () => {
  const temp = tempFolder("served");
  const { key, certificate, open } = servedIn(temp.path);
  const other = pairIn(temp.path, 60, "other");
  for (const content of ["no PEM", readFileSync(other.certificate, "utf8")]) {
    writeFileSync(certificate, content);
    const error = await rejects(open, "tls.unusable");
    assert.is(error.exitCode, 78);
    assert.match(error.message, certificate);
    assert.not.match(error.message, readFileSync(key, "utf8").slice(40, 80));
  }
  temp.remove();
});

serving.run();
