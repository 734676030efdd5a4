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

const LIST = `SELECT media, device, visit, kind, sha256, bytes, width_px, height_px, captured_at,
    erased_at
  FROM porchlight_read.media WHERE $1::uuid IS NULL OR device = $1
  ORDER BY captured_at DESC, media LIMIT $2`;

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
  return rows.parse(await database.query(LIST, [device ?? null, limit]));
}
