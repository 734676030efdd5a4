import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Database, openDatabase } from "../../edge/sqlite/database.ts";
import { tempFolder } from "./temp.ts";

/** A database with migrations of its own, so that there can be a next version. */
export class Versions {
  readonly #temp = tempFolder("migrate");
  readonly key = randomBytes(32);
  readonly path = join(this.#temp.path, "some.db");
  readonly folder = join(this.#temp.path, "migrations");

  constructor() {
    mkdirSync(this.folder);
    this.add(1, "CREATE TABLE facts (a TEXT)", "DROP TABLE facts");
  }

  add(number: number, up: string, down: string): void {
    const file = join(this.folder, `${String(number).padStart(4, "0")}-step`);
    writeFileSync(`${file}.sql`, `${up};\n`);
    writeFileSync(`${file}.down.sql`, `${down};\n`);
  }

  open(path = this.path, now = () => 1): Database {
    const migrations = pathToFileURL(`${this.folder}/`);
    const { key } = this;
    return openDatabase({ path, key, migrations, create: true, now });
  }

  /** Opened and closed, with a fact in it. */
  use(fact: string): void {
    const database = this.open();
    database.prepare("INSERT INTO facts (a) VALUES (?)").run(fact);
    database.close();
  }

  copies(): string[] {
    return readdirSync(this.#temp.path).filter((file) => file.includes(".before-"));
  }

  remove(): void {
    this.#temp.remove();
  }
}
