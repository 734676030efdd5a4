import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";
import { PERSONAL_CLASSES } from "../../shared/log/entry.ts";

export const syncConfigSchema = z
  .strictObject({
    bundle: z
      .string()
      .optional()
      .meta(
        setting(
          "Bundle file",
          "credentials and address of the centre, from `sync join` (default: <data>/sync/bundle.json)",
        ),
      ),
    status: z
      .string()
      .optional()
      .meta(
        setting(
          "Status file",
          "where the sync agent writes its status (default: <data>/sync/status.json, installed /run/porchlight-sync/status.json)",
        ),
      ),
    feed: z
      .string()
      .optional()
      .meta(
        setting(
          "Feed socket",
          "where the daemon serves the sync agent (default: <data>/feed/feed.sock, installed /run/porchlight-feed/feed.sock)",
        ),
      ),
    live: z
      .strictObject({
        names: z
          .boolean()
          .default(false)
          .meta(
            setting(
              "Names in live notifications",
              "send the name of a recognised person to the centre, in clear",
            ),
          ),
      })
      .prefault({}),
    release: z
      .array(z.enum(PERSONAL_CLASSES))
      .default([])
      .meta(
        setting(
          "Released to the centre",
          "what the centre may open: names, faces, snapshots; nothing unless it is here",
          "at once",
        ),
      ),
  })
  .prefault({});
