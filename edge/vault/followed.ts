import { z } from "zod";
import { type Cursor, cursorSchema } from "../../shared/log/cursor.ts";
import { openVaultDatabase, type VaultOptions } from "./open-vault.ts";

/**
 * How far each projection of a vault has followed the log, read without following it further: the
 * places are witnesses of a log that is not verified yet.
 */
export function readFollowed(options: VaultOptions): readonly Cursor[] {
  const vault = openVaultDatabase(options, false);
  try {
    const rows = vault.prepare("SELECT DISTINCT log, seq, hash FROM projections").all();
    return z.array(cursorSchema).parse(rows);
  } finally {
    vault.close();
  }
}
