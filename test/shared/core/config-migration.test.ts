import * as assert from "uvu/assert";
import { parseDocument } from "yaml";
import { z } from "zod";
import { readConfig } from "../../../shared/core/config.ts";
import {
  type ConfigMigration,
  migrateDocument,
  migrateText,
  renamedKeys,
} from "../../../shared/core/config-migration.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const STEPS: readonly ConfigMigration[] = [
  { to: 2, renamed: { "log.size": "log.maxMiB", bell: "button" } },
  { to: 3, renamed: { "log.maxMiB": "buffer.maxMiB" } },
];
const schema = z.strictObject({
  version: z.literal(3).default(3),
  buffer: z.strictObject({ maxMiB: z.int().default(5) }).prefault({}),
  log: z.strictObject({ level: z.string().optional() }).prefault({}),
  button: z.string().optional(),
});

function read(text: string, environment: Record<string, string> = {}) {
  const told: string[] = [];
  const config = readConfig(schema, {
    file: "door.yaml",
    text,
    environment,
    prefix: "DOOR",
    reserved: [],
    program: "door",
    migrations: { steps: STEPS, newest: 3 },
    migrated: ({ renamed }) => told.push(...renamed),
  });
  return { config, told };
}

const migration = suite("a configuration of an earlier version");

migration("is read, and what was renamed is told", () => {
  const { config, told } = read("bell: front # the brass one\nlog: {size: 64}\n");
  assert.is(config.button, "front");
  assert.is(config.buffer.maxMiB, 64);
  assert.equal(told, ["log.size → log.maxMiB", "bell → button", "log.maxMiB → buffer.maxMiB"]);
});

migration("may be of any version between", () => {
  assert.is(read("version: 2\nlog: {maxMiB: 7}\n").config.buffer.maxMiB, 7);
  assert.is(read("version: 3\nbuffer: {maxMiB: 8}\n").config.buffer.maxMiB, 8);
});

migration("with a key under both names keeps the new one", () => {
  assert.is(read("bell: old\nbutton: new\n").config.button, "new");
});

migration("holds in the environment, too, under every name it ever had", () => {
  for (const name of ["DOOR_LOG_SIZE", "DOOR_LOG_MAX_MI_B", "DOOR_BUFFER_MAX_MI_B"]) {
    assert.is(read("", { [name]: "9" }).config.buffer.maxMiB, 9, name);
  }
});

migration("in the newest version has no old names any more", async () => {
  const error = await rejects(() => read("version: 3\nbell: x\n"), "config.invalid");
  assert.match(error.message, /bell is not a setting/);
});

migration("that is newer than the program, or none, is refused and says so", async () => {
  for (const version of ["4", "0", "-1", "1.5", "two", "[1]"]) {
    const error = await rejects(() => read(`version: ${version}\n`), "config.invalid");
    assert.match(error.message, /version/, version);
  }
});

migration("is rewritten with its comments and its order", () => {
  const text = "# my door\nbell: front # the brass one\n# how much\nlog:\n  size: 64 # MiB\n";
  const migrated = migrateText(text, STEPS, 3);
  assert.is(migrated?.from, 1);
  const now = migrated?.text ?? "";
  for (const words of ["# my door", "button: front # the brass one", "version: 3", "64 # MiB"]) {
    assert.ok(now.includes(words), `${words} in ${now}`);
  }
  assert.is(read(now).config.buffer.maxMiB, 64);
  assert.equal(read(now).told, []);
  assert.is(migrateText(now, STEPS, 3), null);
});

migration("that holds nothing is left as it is", () => {
  for (const text of ["", "# nothing\n", "---\n"]) assert.is(migrateText(text, STEPS, 3), null);
  assert.equal(migrateDocument(parseDocument(""), STEPS, 3), { from: 1, renamed: [] });
});

migration("knows for every old name the newest one", () => {
  assert.equal(
    [...renamedKeys(STEPS)],
    [
      ["log.size", "buffer.maxMiB"],
      ["bell", "button"],
      ["log.maxMiB", "buffer.maxMiB"],
    ],
  );
});

migration.run();
