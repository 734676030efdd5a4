import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { createDatabase } from "../../cloud-sync/postgres/database.ts";
import { encodeJpeg } from "../../edge/vision/image.ts";
import { readPackFile } from "../../edge/vision/pack.ts";
import { silentLogger } from "../../shared/core/logger.ts";
import { cosine, embeddingFromBytes } from "../../shared/log/embedding.ts";
import { json } from "../support/cli.ts";
import { porchlightCloud, startCentre } from "../support/cloud.ts";
import { Emulated, needsEmulator } from "../support/emulated.ts";
import { needsPackaging } from "../support/packages.ts";
import { bundledPeople, writePhotos } from "../support/people.ts";
import { benchPack } from "../support/shared-data.ts";
import { suite } from "../support/suite.ts";
import { tempFolder } from "../support/temp.ts";

const arm64 = suite("the packages of arm64, on an emulated processor");
/** A wrong kernel or precision is far below this. */
const COSINE_MIN = 0.9999;
const PULLED = ["opencv", "mobilefacenet"];

if (needsEmulator() && needsPackaging()) {
  const folder = tempFolder("arm64");
  const at = (path: string): string => join(folder.path, path);
  const data = ["--data", at("door")];
  let emulated: Emulated;

  arm64.before(async () => {
    // PostgreSQL runs as another user than root.
    chmodSync(folder.path, 0o755);
    emulated = new Emulated(folder.path);
    const people = await bundledPeople();
    writePhotos(people, at("photos"));
    const [grace] = people;
    const [look] = grace?.looks ?? [];
    assert.ok(look);
    mkdirSync(at("came"));
    writeFileSync(at("came/grace.jpg"), await encodeJpeg(look));
  });
  arm64.after(() => folder.remove());

  arm64("Node.js says what it is", async () => {
    const version = json<{ node: string; own: boolean }>(
      await emulated.porchlight("--version", "--json"),
    );
    assert.ok(version.own);
  });

  arm64("each pack's net gives the embedding that x64 gives", async () => {
    const folders = [join(emulated.models, "default")];
    for (const name of PULLED) {
      const pack = await benchPack(name);
      if (pack !== null) folders.push(pack);
    }
    for (const pack of folders) {
      const { golden, name } = await readPackFile(pack);
      const ran = await emulated.goldenEmbedding(pack);
      assert.is(ran.code, 0, ran.err);
      const [here, there] = [golden.embedding, ran.out].map((text) =>
        embeddingFromBytes(Buffer.from(text, "base64")),
      );
      assert.ok(here && there);
      const similarity = cosine(here, there);
      process.stdout.write(`${name}: cosine ${similarity.toFixed(8)}\n`);
      assert.ok(similarity >= COSINE_MIN, `${name}: cosine ${similarity}`);
    }
  });

  arm64("a face is enrolled and recognised, and the log verifies", async () => {
    const made = await emulated.porchlight("init", ...data);
    assert.is(made.code, 0, made.err);
    const enrolled = await emulated.porchlight("enroll", "Grace", at("photos/Grace"), ...data);
    assert.is(enrolled.code, 0, enrolled.err);
    const seen = await emulated.porchlight("identify", at("came/grace.jpg"), ...data);
    assert.is(seen.code, 0, seen.err);
    assert.match(seen.out, "Grace");
    const verified = await emulated.porchlight("log", "verify", ...data, "--json");
    assert.is(json<{ fault: unknown }>(verified).fault, null);
  });

  arm64("its agent brings the log to a centre on x64, line by line", async () => {
    const there = ["--data", at("centre-x64")];
    const centre = await startCentre(there);
    try {
      const exported = await emulated.porchlight("log", "export", ...data);
      const { device } = JSON.parse(exported.out.split("\n")[0] ?? "").data;
      const added = await porchlightCloud([
        "devices",
        "add",
        device,
        "--out",
        at("bundle"),
        ...there,
      ]);
      assert.is(added.code, 0, added.err);
      const joined = await emulated.porchlight("sync", "join", at("bundle"), ...data);
      assert.is(joined.code, 0, joined.err);
      // A doorbell that only rings: no camera is emulated.
      writeFileSync(
        at("button.yaml"),
        `data: ${data[1]}\nbutton: {device: ${at("no-button")}, name: door}\n`,
      );
      const daemon = emulated.daemon("--config", at("button.yaml"));
      const sent = await emulated.agent("--until-acked", ...data);
      daemon.stop();
      assert.is(sent.code, 0, sent.err);
      assert.is((await daemon.ended).code, 0);
      const here = await emulated.porchlight("log", "export", ...data);
      const held = await porchlightCloud(["log", "export", "--device", device, ...there]);
      assert.is(held.out, here.out);
    } finally {
      await centre.stop();
    }
  });

  arm64("its centre starts a PostgreSQL of its own, which answers", async () => {
    const centre = await startCentre(["--data", at("centre-arm64")], {}, emulated.cloud);
    const socket = encodeURIComponent(at("centre-arm64/postgres"));
    const url = `postgres://porchlight@localhost/postgres?host=${socket}`;
    const database = createDatabase({ url, logger: silentLogger, random: Math.random });
    try {
      const answer = await database.query("SELECT version(), count(*)::int FROM event_log");
      assert.match(JSON.stringify(answer), "on aarch64");
      assert.ok((await fetch(`${centre.ready.http}/health/ready`)).ok);
    } finally {
      await database.close();
      assert.is(await centre.stop(), 0, centre.err());
    }
  });
}

arm64.run();
