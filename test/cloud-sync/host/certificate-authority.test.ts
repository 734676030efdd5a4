import { X509Certificate } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import * as assert from "uvu/assert";
import {
  ensureIdentity,
  type ServerIdentity,
} from "../../../cloud-sync/host/certificate-authority.ts";
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

certifying.run();
