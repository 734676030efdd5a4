/** A program: prints the embedding of the golden picture by the net of a pack, as base64. */
import { embedChips } from "../../edge/vision/embed.ts";
import { goldenChip } from "../../edge/vision/golden.ts";
import { loadPack } from "../../edge/vision/pack.ts";
import { openSession } from "../../edge/vision/session.ts";
import { embeddingToBytes } from "../../shared/log/embedding.ts";

const [folder = ""] = process.argv.slice(2);
const pack = await loadPack(folder);
const { file, sidePx, dimension } = pack.file.models.embedder;
const session = await openSession({
  model: `${pack.folder}/${file}`,
  provider: "cpu",
  threads: 1,
  keepMemory: false,
});
const chips = [goldenChip(sidePx)];
const [embedding] = await embedChips(session, chips, { side: sidePx, dimension });
await session.close();
if (embedding === undefined) throw new Error("one chip gives one embedding");
process.stdout.write(Buffer.from(embeddingToBytes(embedding)).toString("base64"));
