import { z } from "zod";
import { parseEntry } from "../../shared/log/entry.ts";
import type { LogReader } from "./reader.ts";

/** The id of this device, from the first entry of its store. Null when that cannot be read. */
export function deviceOf(reader: LogReader): string | null {
  const [first] = reader.after(reader.start(), 1).entries;
  if (first?.body == null) return null;
  return z.uuid().nullable().catch(null).parse(parseEntry(first.body).data["device"]);
}
