import { readFileSync } from "node:fs";
import { z } from "zod";

/** package.json stands one folder above the sources and two above the compiled files. */
function packageText(): string {
  for (const place of ["../package.json", "../../package.json"]) {
    try {
      return readFileSync(new URL(place, import.meta.url), "utf8");
    } catch (error) {
      if (place === "../../package.json") throw error;
    }
  }
  return "";
}

export const VERSION = z.object({ version: z.string() }).parse(JSON.parse(packageText())).version;
