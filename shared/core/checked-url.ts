import { z } from "zod";

/**
 * A URL that further checks may take apart: what is none does not come to them, where `new URL` would
 * throw out of the schema.
 */
export function checkedUrl(protocol: RegExp, error?: string) {
  return z.url({ protocol, abort: true, ...(error !== undefined && { error }) });
}
