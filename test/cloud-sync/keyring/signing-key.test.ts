import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import {
  openSigningKey,
  readSigningKey,
  renewSigningKey,
  signingKeyFile,
} from "../../../cloud-sync/keyring/signing-key.ts";
import { answerVerifier } from "../../../shared/protocol/answer-proof.ts";
import { Central } from "../../support/central.ts";
import { startFast } from "../../support/engines.ts";
import { needsPostgres } from "../../support/postgres.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const signing = suite("the signing key of a site");
const central = new Central(startFast);
const CLAIM = {
  device: "11111111-2222-4333-8444-555555555555",
  verdict: "ack",
  cursor: { log: "22222222-2222-4333-8444-555555555555", seq: 1, hash: "ab".repeat(32) },
} as const;
const NONCE = "A".repeat(22);

if (needsPostgres()) {
  signing.before.each(() => central.begin());
  signing.after(() => central.stop());

  signing("the first instance makes it, and none starts without it", async () => {
    const { database } = central;
    const [first, second] = [tempFolder("signing"), tempFolder("signing")];
    const at = (data: string) => ({ data, site: {} });
    const file = signingKeyFile(at(first.path));
    assert.is(await readSigningKey(database), null);
    // Two at once agree on one, or one of them says that it has another.
    const made = await openSigningKey(at(first.path), database);
    assert.is(statSync(file).mode & 0o777, 0o600);
    assert.equal(await readSigningKey(database), made.publicKey);
    const verifier = answerVerifier(made.publicKey);
    assert.ok(verifier.verify(CLAIM, made.sign(CLAIM, NONCE)));
    await rejects(() => openSigningKey(at(second.path), database), "site.signing.missing");
    assert.not.ok(existsSync(signingKeyFile(at(second.path))), "it makes none of its own");
    const shared = { data: second.path, site: { signingKey: file } };
    assert.equal((await openSigningKey(shared, database)).publicKey, made.publicKey);
    const credentials = join(second.path, "credentials");
    mkdirSync(credentials);
    copyFileSync(file, join(credentials, "signing-key"));
    chmodSync(join(credentials, "signing-key"), 0o444);
    const placed = { ...at(second.path), credentialsDirectory: credentials };
    assert.equal((await openSigningKey(placed, database)).publicKey, made.publicKey);

    const renewed = await renewSigningKey(at(second.path), database);
    assert.not(verifier.verify(CLAIM, renewed.sign(CLAIM, NONCE)));
    await rejects(() => openSigningKey(at(first.path), database), "site.signing.other");
    for (const content of ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n"]) {
      rmSync(file);
      writeFileSync(file, content, { mode: 0o600 });
      await rejects(() => openSigningKey(at(first.path), database), "site.signing.unusable");
    }
    chmodSync(file, 0o644);
    await rejects(() => openSigningKey(at(first.path), database), "site.signing.exposed");
    first.remove();
    second.remove();
  });
}

signing.run();
