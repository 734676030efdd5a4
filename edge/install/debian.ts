/** What a Debian package has put in place belongs to dpkg(1). */
import { existsSync, readFileSync } from "node:fs";
import { PorchlightError } from "../../shared/core/errors.ts";
import { type Layout, layoutOf } from "./layout.ts";

const PROGRAM = layoutOf("/").program;

/** Throws `install.packaged` where the program is a Debian package's; the hint says who may. */
export function leaveToDpkg({ packageFiles, program }: Layout, hint: string): void {
  // After a removal its configuration alone is still in the list.
  const files = existsSync(packageFiles) ? readFileSync(packageFiles, "utf8").split("\n") : [];
  if (!files.includes(PROGRAM)) return;
  throw new PorchlightError("install.packaged", `${program} is the Debian package's`, { hint });
}
