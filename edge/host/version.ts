import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";

/** package.json stands two folders above the sources and three above the compiled files. */
const PLACES = ["../../package.json", "../../../package.json"];

function packageText(): string {
  const place = PLACES.map((each) => new URL(each, import.meta.url)).find((each) =>
    existsSync(each),
  );
  if (place === undefined) throw new Error(`no package.json above ${import.meta.url}`);
  return readFileSync(place, "utf8");
}

export const VERSION = z.object({ version: z.string() }).parse(JSON.parse(packageText())).version;
