import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { deviceId, number, requiredText } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { mediaKey } from "../objects/media-key.ts";
import { openObjects } from "../objects/open.ts";
import { type CentralMedia, listMedia } from "../queries/media.ts";
import { type Closed, openMedia } from "../queries/open-media.ts";
import { keyringOf } from "./people.ts";
import { type Verb, verb } from "./verb.ts";

/** A face in the clear: for who was given it alone. */
const FILE_MODE = 0o600;

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

export const mediaList: Verb = verb({
  name: "media list",
  summary: "sealed snapshots that devices have announced, newest first, and whether they are here",
  options: {
    device: deviceId("only of this device"),
    limit: number("N", "at most this many (default 20); each is looked for in the object store", {
      fallback: 20,
      min: 1,
      max: 1_000,
    }),
  },
  example: "porchlight-cloud media list --limit 5",
  operands: NO_OPERANDS,
  async run({ config, centre, values, terminal }) {
    const limit = values.limit;
    const { database } = await centre();
    const media = await listMedia(database, { device: values.device, limit });
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
});

const WHY: Readonly<Record<Closed, string>> = {
  unknown: "there is no such snapshot, or several begin so, or it was erased",
  missing: "its device has not brought it yet",
  sealed: "it is sealed: its owner has not released snapshots to this site",
};

export const mediaGet: Verb = verb({
  name: "media get",
  summary: "open a snapshot whose owner has released it, and write it as a JPEG",
  options: { out: requiredText("FILE", "where the picture goes, 0600; it is written over") },
  example: "porchlight-cloud media get 3f2a90c1 --out visitor.jpg",
  operands: oneOperand("<id>"),
  async run({ config, centre, values, operands: [id = ""], terminal }) {
    const { out } = values;
    const { database } = await centre();
    const { open } = await keyringOf({ config }, database);
    const objects = openObjects(config(), randomUUID);
    try {
      const opened = await openMedia({ database, objects, open }, id);
      if (typeof opened === "string") {
        throw new PorchlightError(
          `media.${opened}`,
          `the snapshot cannot be opened: ${WHY[opened]}`,
          {
            exitCode: EXIT.notFound,
            hint: "see which there are: porchlight-cloud media list",
          },
        );
      }
      const { media, content } = opened;
      writeFileSync(out, content, { mode: FILE_MODE });
      const facts = { media, file: out, bytes: content.length };
      terminal.data(facts, `${out}: ${bytes(content.length)}`);
      return EXIT.ok;
    } finally {
      objects.close();
    }
  },
});
