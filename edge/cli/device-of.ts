import { z } from "zod";
import { parseEntry } from "../../shared/log/entry.ts";
import type { OpenLog } from "../log/open-log.ts";

/** Who this device is: its store has said so in its first entry. Null when that cannot be read. */
export function deviceOf({ reader }: OpenLog): string | null {
  const [first] = reader.after(reader.start(), 1).entries;
  if (first?.body == null) return null;
  return z.uuid().nullable().catch(null).parse(parseEntry(first.body).data["device"]);
}
