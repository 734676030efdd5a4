import { randomUUID } from "node:crypto";
import { table } from "../../shared/cli/terminal.ts";
import { number, text } from "../../shared/cli/verb.ts";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/errors.ts";
import { mediaKey } from "../fleet/uploads.ts";
import { openObjects } from "../open-objects.ts";
import { type CentralMedia, listMedia } from "../sinks/media.ts";
import type { Verb } from "./verb.ts";

const HEADER = ["media", "captured", "device", "visit", "kind", "px", "size", "here"];

function rowOf(item: CentralMedia & { readonly here: boolean }): string[] {
  const { media, capturedAt, device, visit, kind, widthPx, heightPx, here } = item;
  return [
    media.slice(0, 8),
    dateOf(capturedAt.getTime()),
    device.slice(0, 8),
    visit?.slice(0, 8) ?? "-",
    kind,
    widthPx === null ? "-" : `${widthPx} × ${heightPx}`,
    bytes(item.bytes),
    here ? "yes" : "no",
  ];
}

export const mediaList: Verb = {
  name: "media list",
  usage: "[--device ID] [--limit N]",
  summary: "sealed snapshots that devices have announced, newest first, and whether they are here",
  options: { device: { type: "string" }, limit: { type: "string" } },
  optionHelp: {
    "--device ID": "only of this device",
    "--limit N": "at most this many (default 20); each is looked for in the object store",
  },
  example: "porchlight-cloud media list --limit 5",
  operands: { min: 0, max: 0 },
  async run({ config, centre, values, terminal }) {
    const limit = Math.floor(number(values, "limit", { fallback: 20, min: 1, max: 1_000 }));
    const { database } = await centre();
    const media = await listMedia(database, { device: text(values, "device"), limit });
    const objects = openObjects(config(), randomUUID);
    const items: (CentralMedia & { readonly here: boolean })[] = [];
    try {
      for (const item of media) {
        const head = await objects.head(mediaKey(item.device, item.sha256));
        items.push({ ...item, here: head !== null });
      }
    } finally {
      objects.close();
    }
    terminal.data(items, table(HEADER, items.map(rowOf)));
    return EXIT.ok;
  },
};
