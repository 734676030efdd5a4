/**
 * Writes into edge/vision/manifests what the nets of each pack really are: size, sha256 and the
 * embedding of the golden image. Run by a maintainer after a change to the conversion, and the
 * diff reviewed: `node scripts/pin-packs.ts [folder with the published files]`.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildNet, canBuild } from "../edge/vision/convert/build/default-pack.ts";
import { prepareNet } from "../edge/vision/convert/prepare.ts";
import { embedChips } from "../edge/vision/embed.ts";
import { goldenChip } from "../edge/vision/golden.ts";
import { manifestNames, readManifest } from "../edge/vision/manifest.ts";
import { modelsOf } from "../edge/vision/pack-schema.ts";
import { openSession } from "../edge/vision/session.ts";
import { embeddingToBytes } from "../shared/log/embedding.ts";

const [published = "../shared/models"] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "porchlight-pin-"));
for (const name of manifestNames()) {
  const { pack, sources } = readManifest(name);
  for (const model of modelsOf(pack)) {
    const bytes = netOf(model);
    model.bytes = bytes.length;
    model.sha256 = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(folder, model.file), bytes);
  }
  const { embedder } = pack.models;
  const session = await openSession({
    model: join(folder, embedder.file),
    provider: "cpu",
    threads: 1,
    keepMemory: false,
  });
  const [embedding] = await embedChips(session, [goldenChip(embedder.sidePx)], {
    side: embedder.sidePx,
    dimension: embedder.dimension,
  });
  await session.close();
  if (!embedding) throw new Error("the embedder gave nothing");
  pack.golden.embedding = embeddingToBytes(embedding).toString("base64");
  const path = `edge/vision/manifests/${name}.json`;
  writeFileSync(path, `${JSON.stringify({ pack, sources }, null, 2)}\n`);
  process.stdout.write(`${path}\n`);

  function netOf(model: { architecture: string; file: string }): Buffer {
    if (canBuild(model.architecture)) return buildNet(model.architecture);
    const source = sources.find(({ becomes }) => becomes === model.file);
    if (!source) throw new Error(`${name}: ${model.file} has no source`);
    const bytes = readFileSync(join(published, source.file));
    return prepareNet(source.prepare, bytes);
  }
}
rmSync(folder, { recursive: true });
