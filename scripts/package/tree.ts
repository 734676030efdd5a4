/** Puts files into the root folder of a package, and takes from it what differs from build to build. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

const PROGRAM = /(^|\/)bin\/[^./]+$|^DEBIAN\/(pre|post)(inst|rm)$/;

export class Tree {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Where a path of the installed system lies while it is put together. */
  at(path: string): string {
    return join(this.folder, path);
  }

  write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    writeFileSync(this.at(path), content);
  }

  /** As Debian wants documentation: gzip(1) without name and time. */
  compress(path: string, content: string): void {
    this.write(`${path}.gz`, gzipSync(content, { level: 9 }));
  }

  copy(from: string, path: string, filter: (path: string) => boolean = () => true): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    cpSync(from, this.at(path), { recursive: true, verbatimSymlinks: true, filter });
  }

  /** Every path below the root but the package's own folder, folders too, in one order. */
  paths(): string[] {
    return readdirSync(this.folder, { recursive: true, encoding: "utf8" })
      .filter((path) => path !== "DEBIAN" && !path.startsWith("DEBIAN/"))
      .sort();
  }

  files(): string[] {
    return this.paths().filter((path) => lstatSync(this.at(path)).isFile());
  }

  /**
   * Modes that hang on no umask, and one time for everything. Of npm's files only programs can be
   * run: modules come with all kinds of modes.
   */
  normalise(timeS: number): void {
    for (const path of readdirSync(this.folder, { recursive: true, encoding: "utf8" })) {
      const entry = lstatSync(this.at(path));
      const isRunnable = entry.isDirectory() || PROGRAM.test(path);
      if (!entry.isSymbolicLink()) chmodSync(this.at(path), isRunnable ? 0o755 : 0o644);
      lutimesSync(this.at(path), timeS, timeS);
    }
    chmodSync(this.folder, 0o755);
    lutimesSync(this.folder, timeS, timeS);
  }

  /** As md5sum(1) prints it: dpkg(1) checks files by it, and it is no protection. */
  md5sums(): string {
    return this.files()
      .map((path) => {
        const digest = createHash("md5")
          .update(readFileSync(this.at(path)))
          .digest("hex");
        return `${digest}  ${path}\n`;
      })
      .join("");
  }

  /** What the files take on a disk, KiB, as dpkg-gencontrol(1) counts. */
  sizeKiB(): number {
    return this.paths().reduce((total, path) => {
      const entry = lstatSync(this.at(path));
      return total + (entry.isFile() ? Math.ceil(entry.size / 1_024) : 1);
    }, 0);
  }
}
