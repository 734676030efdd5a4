/** From a name and a code to the first entry in the centre, with nothing carried by hand. */

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import * as assert from "uvu/assert";
import { checkedName } from "../../../cloud-sync/fleet/devices.ts";
import { createPairingCodes } from "../../../cloud-sync/fleet/pairing.ts";
import { createCentralLog } from "../../../cloud-sync/log/event-log.ts";
import { createDatabase } from "../../../cloud-sync/postgres/database.ts";
import { redeemCode } from "../../../edge/sync/pair.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { newCode, readCode } from "../../../shared/protocol/pairing.ts";
import { createAuthority } from "../../support/certificates.ts";
import { json, porchlight } from "../../support/cli.ts";
import { type CentreProcess, porchlightCloud, startCentre } from "../../support/cloud.ts";
import { needsPostgres, startPostgres } from "../../support/postgres.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const codes = suite("a pairing code");
const pairing = suite("a door with a name");

codes("is the same however it is typed, and nothing else is one", async () => {
  for (const pin of ["loopback", "system", randomBytes(10)] as const) {
    const code = newCode(pin, randomBytes);
    assert.match(code, /^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$/);
    const read = readCode(code);
    assert.equal(read.pin, pin);
    const asTyped = ` ${code.toLowerCase().replaceAll("-", " ").replaceAll("0", "o").replaceAll("1", "l")} `;
    assert.equal(readCode(asTyped), read);
  }
  for (const text of ["", "1234", `${"A".repeat(23)}U`, "A".repeat(25), "ä".repeat(24)]) {
    const error = await rejects(() => readCode(text), "pairing.code");
    assert.is(error.exitCode, 64);
  }
});

if (needsPostgres()) {
  codes("is good once, for a while, and of many only so many wait", async () => {
    const server = await startPostgres();
    const url = server.freshDatabase();
    const database = createDatabase({ url, logger: silentLogger, random: Math.random });
    await createCentralLog(database).open();
    const kept = createPairingCodes(database);
    const whom = { device: null, name: "front-door" };
    const [code, late] = [newCode("loopback", randomBytes), newCode("loopback", randomBytes)];
    await kept.invite(code, whom);
    await kept.invite(late, whom);
    const stored = JSON.stringify(await database.query("SELECT * FROM pairing_codes"));
    assert.not.match(stored, readCode(code).secret.toString("hex"));
    const both = await Promise.all([kept.redeem(code), kept.redeem(code)]);
    assert.is(both.filter((each) => each !== null).length, 1, "two come at once with one code");
    assert.is(await kept.redeem(code), null);
    await database.query("UPDATE pairing_codes SET expires_at = now() - interval '1 s'");
    assert.is(await kept.redeem(late), null);
    for (let i = 0; i < 100; i++) await kept.invite(newCode("loopback", randomBytes), whom);
    const more = newCode("loopback", randomBytes);
    await rejects(() => kept.invite(more, whom), "pairing.full");
    await database.close();
    await server.stop();
  });
}

const folder = tempFolder("pairing");
const at = ["--data", join(folder.path, "centre")];
const open = {
  PORCHLIGHT_CLOUD_BROKER_HOST: "0.0.0.0",
  PORCHLIGHT_CLOUD_HTTP_HOST: "0.0.0.0",
  PORCHLIGHT_CLOUD_TLS_NAMES: "[localhost, 127.0.0.1]",
};
let centre: CentreProcess;
let doors = 0;
const newDoor = (): string[] => ["--data", join(folder.path, `door-${++doors}`)];

pairing.before(async () => {
  centre = await startCentre(at, open);
});
pairing.after(async () => {
  await centre.stop();
  folder.remove();
});

async function codeFor(...who: string[]): Promise<{ code: string; at: string }> {
  const made = await porchlightCloud(["devices", "add", ...who, "--code", "--json", ...at], open);
  assert.is(made.code, 0, made.err);
  return json(made);
}

function joinWith({ code, at: address }: { code: string; at: string }, door: readonly string[]) {
  return porchlight(["sync", "join", "--code", code, "--at", address, ...door]);
}

pairing("joins with a code and no file, and has its identity from the centre", async () => {
  const door = newDoor();
  const joined = await joinWith(await codeFor("front-door"), door);
  assert.is(joined.code, 0, joined.err);
  assert.is((await porchlight(["sync", "run", "--until-acked", ...door])).code, 0);
  const devices = json<{ name: string; device: string }[]>(
    await porchlightCloud(["devices", "list", "--json", ...at], open),
  );
  const own = devices.find(({ name }) => name === "front-door");
  const { out } = await porchlight(["log", "export", ...door]);
  assert.is(JSON.parse(out.split("\n")[0] ?? "").data.device, own?.device);
  const there = await porchlightCloud(
    ["log", "export", "--device", own?.device ?? "", ...at],
    open,
  );
  assert.is(there.out, out);
});

pairing(
  "that has an identity keeps it, and a bundle by a name gives one to a new door",
  async () => {
    const old = newDoor();
    assert.is((await porchlight(["init", ...old])).code, 0);
    const joined = await joinWith(await codeFor("back door"), old);
    assert.is(joined.code, 0, joined.err);
    const bundle = join(folder.path, "garden.bundle");
    const made = await porchlightCloud(
      ["devices", "add", "Garten-Tür", "--out", bundle, ...at],
      open,
    );
    assert.is(made.code, 0, made.err);
    const [fresh, other] = [newDoor(), newDoor()];
    assert.is((await porchlight(["sync", "join", bundle, ...fresh])).code, 0);
    const { device } = JSON.parse(readFileSync(bundle, "utf8"));
    const { out } = await porchlight(["log", "export", ...fresh]);
    assert.is(JSON.parse(out.split("\n")[0] ?? "").data.device, device);
    assert.is((await porchlight(["init", ...other])).code, 0);
    const refused = await porchlight(["sync", "join", bundle, ...other]);
    assert.is(refused.code, 1);
    assert.match(refused.err, "--name NAME");
    const revoked = await porchlightCloud(["devices", "revoke", "garten-tür", ...at], open);
    assert.is(revoked.code, 0, revoked.err);
  },
);

pairing("shows its code to nobody but the centre that made it", async () => {
  const authority = createAuthority(folder.path, "stranger");
  const { certificateFile, keyFile } = authority.issue("localhost");
  let heard = 0;
  const tls = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
  const stranger = createServer(tls, (socket) => {
    socket.on("data", () => heard++).on("error", () => undefined);
  });
  await new Promise<void>((done) => stranger.listen(0, "127.0.0.1", done));
  const { port } = stranger.address() as AddressInfo;
  const made = await codeFor("side-door");
  const ran = await joinWith({ ...made, at: `localhost:${port}` }, newDoor());
  assert.is(ran.code, 1);
  assert.match(ran.err, "is not the centre that made the code");
  assert.is(heard, 0);
  stranger.close();
  const good = await joinWith(made, newDoor());
  assert.is(good.code, 0, `the code is good still: ${good.err}`);
  const again = await joinWith(made, newDoor());
  assert.is(again.code, 1);
  assert.match(again.err, "does not know this code, or no longer");
});

pairing("has a name that no other has, and that can be typed", async () => {
  for (const name of ["FRONT-DOOR"]) {
    const taken = await porchlightCloud(["devices", "add", name, "--code", ...at], open);
    assert.is(taken.code, 1, name);
    assert.match(taken.err, "a door called");
  }
  for (const name of ["a\u0007b", "-x", "../etc", "a\u202eb", "x".repeat(65), "a\u200bb", ""]) {
    const error = await rejects(() => checkedName(name), "device.name");
    assert.is(error.exitCode, 64, JSON.stringify(name));
  }
  const nobody = await porchlightCloud(["devices", "revoke", "no such door", ...at], open);
  assert.is(nobody.code, 2);
});

pairing("is not found by trying codes: a few, and an address has to wait", async () => {
  const { at: address } = await codeFor("tried-door");
  const pin = readCode((await codeFor("tried-too")).code).pin;
  const signal = AbortSignal.timeout(20_000);
  const refusals: string[] = [];
  for (let i = 0; i < 14; i++) {
    const guess = { code: newCode(pin, randomBytes), at: address, device: null };
    await redeemCode(guess, signal).then(
      () => assert.unreachable(),
      ({ code }) => refusals.push(code),
    );
  }
  assert.is(refusals.at(-1), "pairing.wait");
  assert.is(refusals[0], "pairing.refused");
});

codes.run();
pairing.run();
