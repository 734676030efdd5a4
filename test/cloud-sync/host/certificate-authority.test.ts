import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import * as assert from "uvu/assert";
import {
  ensureIdentity,
  type ServerIdentity,
} from "../../../cloud-sync/host/certificate-authority.ts";
import { keepingLogger } from "../../support/ingest.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const certifying = suite("certificates of the centre's own");
const NAMES = ["door-centre.lan", "localhost", "127.0.0.1"];
const DAY_MS = 24 * 60 * 60 * 1000;

/** Whether a client that trusts the authority alone takes a server for `name`. */
function isTrusted(identity: ServerIdentity, name: string): Promise<boolean> {
  const server = createServer({ cert: identity.certificate, key: identity.key }, (socket) =>
    socket.on("error", () => undefined).end(),
  );
  return new Promise<boolean>((done) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" ? (address?.port ?? 0) : 0;
      const client = connect({ port, host: "127.0.0.1", servername: name, ca: identity.authority });
      client.once("secureConnect", () => done(client.authorized)).once("error", () => done(false));
      client.resume();
    });
  }).finally(() => server.close());
}

certifying("are made once, kept, and trusted by whoever holds the authority", async () => {
  const temp = tempFolder("authority");
  const options = { folder: join(temp.path, "tls"), names: NAMES, nowMs: Date.now() };
  const [first, again] = [await ensureIdentity(options), await ensureIdentity(options)];
  assert.equal(again, first);
  assert.is(statSync(options.folder).mode & 0o777, 0o700);
  for (const key of ["authority.key", "server.key"]) {
    assert.is(statSync(join(options.folder, key)).mode & 0o777, 0o600);
  }
  for (const name of ["localhost", "door-centre.lan"]) assert.ok(await isTrusted(first, name));
  assert.not(await isTrusted(first, "elsewhere.lan"));
  const stranger = await ensureIdentity({ ...options, folder: join(temp.path, "other") });
  assert.not(await isTrusted({ ...first, authority: stranger.authority }, "localhost"));
  temp.remove();
});

certifying(
  "are renewed before they run out or when names change, the authority is not",
  async () => {
    const temp = tempFolder("authority");
    const folder = temp.path;
    const nowMs = Date.now();
    const first = await ensureIdentity({ folder, names: NAMES, nowMs });
    const soon = await ensureIdentity({ folder, names: NAMES, nowMs: nowMs + 700 * DAY_MS });
    assert.is(soon.certificate, first.certificate, "still good for months");
    const later = await ensureIdentity({ folder, names: NAMES, nowMs: nowMs + 760 * DAY_MS });
    assert.is.not(later.certificate, first.certificate);
    assert.is(later.authority, first.authority);
    const names = [...NAMES, "192.0.2.7"];
    const renamed = await ensureIdentity({ folder, names, nowMs: nowMs + 760 * DAY_MS });
    assert.ok(new X509Certificate(renamed.certificate).checkIP("192.0.2.7"));
    assert.is(renamed.authority, first.authority);
    temp.remove();
  },
);

certifying(
  "a certificate whose key was lost half-way is made again; a broken authority is not",
  async () => {
    const temp = tempFolder("authority");
    const options = { folder: temp.path, names: NAMES, nowMs: Date.now() };
    const first = await ensureIdentity(options);
    // As a crash between the two files leaves them.
    const other = await ensureIdentity({ ...options, folder: join(temp.path, "other") });
    writeFileSync(join(temp.path, "server.key"), other.key);
    const again = await ensureIdentity(options);
    assert.is.not(again.certificate, first.certificate);
    assert.ok(await isTrusted(again, "localhost"));
    rmSync(join(temp.path, "authority.key"));
    rmSync(join(temp.path, "server.pem"));
    const error = await rejects(() => ensureIdentity(options), "tls.unusable");
    assert.match(error.hint ?? "", "tls.certificate");
    assert.ok(
      readFileSync(join(temp.path, "authority.pem"), "utf8").length > 0,
      "it is left as it was",
    );
    temp.remove();
  },
);

for (const [what, yearsOff] of [
  ["ahead", 5],
  ["behind, as without a battery", -56],
] as const) {
  certifying(
    `made while the clock was ${what} are right once it is, the authority stays`,
    async () => {
      const temp = tempFolder("authority");
      const nowMs = Date.now();
      const made = { folder: temp.path, names: NAMES, nowMs: nowMs + yearsOff * 365 * DAY_MS };
      const wrong = await ensureIdentity(made);
      const right = await ensureIdentity({ ...made, nowMs });
      assert.is(right.authority, wrong.authority, "devices have it in their bundles");
      assert.is.not(right.certificate, wrong.certificate);
      assert.ok(await isTrusted(right, "localhost"));
      temp.remove();
    },
  );
}

certifying(
  "an authority of an earlier version that no device can trust is made anew, and told",
  async () => {
    const temp = tempFolder("authority");
    const options = { folder: temp.path, names: NAMES, nowMs: Date.now() };
    const first = await ensureIdentity(options);
    const at = (name: string): string => join(temp.path, name);
    // As it was made on a day in 2031.
    const day = new Date(options.nowMs + 5 * 365 * DAY_MS).toISOString().replace(/[-:T]/g, "");
    const config = at("ca.conf");
    writeFileSync(
      config,
      `[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=${temp.path}\ndatabase=${at("index")}\nserial=${at("serial")}\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nbasicConstraints=critical,CA:true\n`,
    );
    writeFileSync(at("index"), "");
    writeFileSync(at("serial"), "01\n");
    const key = at("authority.key");
    const request = at("authority.csr");
    execFileSync("openssl", [
      "req",
      "-new",
      "-key",
      key,
      "-out",
      request,
      "-subj",
      "/CN=Porchlight centre",
    ]);
    const when = [
      "-startdate",
      `${day.slice(0, 14)}Z`,
      "-enddate",
      `${Number(day.slice(0, 4)) + 20}0101000000Z`,
    ];
    const sign = ["ca", "-batch", "-selfsign", "-config", config, "-keyfile", key, "-in", request];
    execFileSync("openssl", [...sign, "-out", at("authority.pem"), "-notext", ...when], {
      stdio: "ignore",
    });
    const logged = keepingLogger();
    const right = await ensureIdentity({ ...options, logger: logged.logger });
    assert.is.not(right.authority, first.authority);
    assert.ok(await isTrusted(right, "localhost"));
    assert.match(logged.lines.join("\n"), /not valid at this time[\s\S]*devices rotate/);
    temp.remove();
  },
);

certifying.run();
