import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { openAsItIs } from "../../../edge/sqlite/database.ts";
import { vaultPath } from "../../../edge/vault/open-vault.ts";
import { collect, json, porchlight, startDaemon } from "../../support/cli.ts";
import { bundledPeople, writeScenes } from "../../support/people.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const erasing = suite("erasing a visitor, by commands");
const folder = tempFolder("erase");
erasing.after(() => folder.remove());
const data = join(folder.path, "data");
const config = join(folder.path, "porchlight.yaml");
const at = ["--config", config];
const [stranger] = await bundledPeople();

function keyOf(name: string): Buffer {
  return Buffer.from(readFileSync(join(data, "keys", name), "utf8").trim(), "hex");
}

interface VisitShown {
  readonly id: string;
  readonly media: readonly { readonly id: string }[];
}

erasing(
  "who was enrolled from a visit is gone from it as well, and only then said to be",
  async () => {
    assert.ok(stranger !== undefined);
    assert.is((await porchlight(["init", "--data", data])).code, 0);
    await writeScenes([stranger], join(folder.path, "scenes"), 12);
    writeFileSync(
      config,
      `data: ${data}\ncamera: {kind: files, name: door, paths: [${folder.path}/scenes], everyFrame: true}\nrecognition: {absentMs: 1200}\n`,
    );
    const daemon = await collect(startDaemon(at));
    assert.is(daemon.code, 0, daemon.err);
    const [visit] = json<VisitShown[]>(await porchlight(["visits", "list", ...at, "--json"]));
    const id = visit?.id ?? "";
    const shown = json<VisitShown>(await porchlight(["visits", "show", id, ...at, "--json"]));
    const media = shown.media[0]?.id ?? "";
    const enrol = ["enroll", "Ana", "--from-visit", id, ...at];
    const taken = await porchlight([...enrol, "--json"]);
    assert.is(taken.code, 0, taken.err);
    const out = join(folder.path, "face.jpg");
    assert.is(
      (await porchlight(["media", "show", media, "--out", `${out}.before`, ...at])).code,
      0,
    );

    const reader = openAsItIs(vaultPath(data), keyOf("vault-key"));
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM subject_keys").get();
    const notYet = await porchlight(["people", "remove", "Ana", "--yes", ...at]);
    assert.is(notYet.code, 1, notYet.out);
    assert.is(notYet.out, "");
    assert.match(notYet.err, /not erased yet.*another process/s);
    assert.match((await porchlight(["status", ...at])).out, /NOT ERASED YET/);
    reader.exec("COMMIT");
    reader.close();
    assert.not.match((await porchlight(["status", ...at])).out, /NOT ERASED YET/);

    const again = await porchlight([...enrol, "--dry-run"]);
    assert.is(again.code, 2, again.out);
    assert.is((await porchlight(["media", "show", media, "--out", out, ...at])).code, 2);
    assert.not(existsSync(out));
    assert.is((await porchlight(["log", "verify", ...at])).code, 0);
  },
);

erasing.run();
