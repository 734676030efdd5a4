/** Objects as the read models have them: announced by a device, whether they have come or not. */
import { z } from "zod";
import type { Database } from "../postgres/database.ts";
import { tableExists } from "./table-exists.ts";

export interface CentralMedia {
  readonly media: string;
  readonly device: string;
  readonly visit: string | null;
  readonly kind: string;
  readonly sha256: string;
  /** As it lies sealed. */
  readonly bytes: number;
  readonly widthPx: number | null;
  readonly heightPx: number | null;
  readonly capturedAt: Date;
  readonly erasedAt: Date | null;
}

function list(where: string): string {
  return `SELECT media, device, visit, kind, sha256, bytes, width_px, height_px, captured_at,
      erased_at
    FROM porchlight_read.media ${where} ORDER BY captured_at DESC, media LIMIT $1`;
}
const LIST = list("");
const LIST_OF = list("WHERE device = $2");

const rows = z.array(
  z
    .object({
      media: z.string(),
      device: z.string(),
      visit: z.string().nullable(),
      kind: z.string(),
      sha256: z.string(),
      bytes: z.bigint().transform(Number),
      width_px: z.int().nullable(),
      height_px: z.int().nullable(),
      captured_at: z.date(),
      erased_at: z.date().nullable(),
    })
    .transform(
      ({ width_px, height_px, captured_at, erased_at, ...row }): CentralMedia => ({
        ...row,
        widthPx: width_px,
        heightPx: height_px,
        capturedAt: captured_at,
        erasedAt: erased_at,
      }),
    ),
);

/** Newest first. */
export async function listMedia(
  database: Pick<Database, "query">,
  { device, limit }: { readonly device?: string | undefined; readonly limit: number },
): Promise<readonly CentralMedia[]> {
  if (!(await tableExists(database, "media"))) return [];
  const found =
    device === undefined
      ? await database.query(LIST, [limit])
      : await database.query(LIST_OF, [limit, device]);
  return rows.parse(found);
}
