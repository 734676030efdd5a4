/** Words of a command line that came as a credential, so that no process list or journal has them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What systemd/launcher passes in the place of the words. */
const FROM_CREDENTIAL = "@arguments";

/** The words that were typed: each ends with a NUL. */
export function typedWords(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const folder = environment["CREDENTIALS_DIRECTORY"];
  if (argv.length !== 3 || argv[2] !== FROM_CREDENTIAL || folder === undefined) return argv;
  const words = readFileSync(join(folder, "arguments"), "utf8").split("\0").slice(0, -1);
  return [...argv.slice(0, 2), ...words];
}
