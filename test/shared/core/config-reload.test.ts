import * as assert from "uvu/assert";
import { z } from "zod";
import { cloudConfigSchema } from "../../../cloud-sync/config/schema.ts";
import { deviceConfigSchema } from "../../../edge/config/schema.ts";
import { configJsonSchema } from "../../../shared/core/config.ts";
import { reloadConfig, settingMetaOf } from "../../../shared/core/config-reload.ts";
import { leavesOf } from "../../../shared/core/config-schema.ts";
import { setting } from "../../../shared/core/setting.ts";
import { suite } from "../../support/suite.ts";

const schema = z.strictObject({
  level: z
    .string()
    .default("info")
    .meta(setting("Level", "of the log", "at once")),
  sizes: z
    .array(z.int())
    .default([1, 2])
    .meta(setting("Sizes", "of pictures", "at once")),
  door: z
    .strictObject({
      name: z.string().default("front").meta(setting("Name", "of the door")),
      match: z
        .number()
        .optional()
        .meta(setting("Match", "threshold", "at once")),
    })
    .prefault({}),
});

const reload = suite("a configuration that is read again");

reload("takes up what may change while running, and says what waits for a restart", () => {
  const current = schema.parse({ door: { match: 0.4 } });
  const next = schema.parse({ level: "debug", sizes: [1, 3], door: { name: "back", match: 0.5 } });
  const done = reloadConfig(schema, current, next);
  assert.equal(done.config, {
    level: "debug",
    sizes: [1, 3],
    door: { name: "front", match: 0.5 },
  });
  assert.equal([...done.changed].sort(), ["door.match", "door.name", "level", "sizes.1"]);
  assert.equal(done.needsRestart, ["door.name"]);
  assert.is(current.level, "info", "what was in force is not changed in place");
});

reload("forgets an override that was taken out of the file", () => {
  const current = schema.parse({ door: { match: 0.4 } });
  const done = reloadConfig(schema, current, schema.parse({}));
  assert.is(done.config.door.match, undefined);
  assert.equal(done.changed, ["door.match"]);
  assert.equal(done.needsRestart, []);
});

reload("that says the same changes nothing", () => {
  const current = schema.parse({});
  const done = reloadConfig(schema, current, schema.parse({}));
  assert.equal([done.config, done.changed, done.needsRestart], [current, [], []]);
});

for (const [name, own] of [
  ["device", deviceConfigSchema],
  ["centre", cloudConfigSchema],
] as const) {
  reload(`of a ${name} has a title, a help and a restart for every key`, () => {
    const leaves = leavesOf(own);
    assert.ok(leaves.length > 20);
    const mute = leaves.filter(({ schema: leaf }) => settingMetaOf(leaf) === undefined);
    assert.equal(
      mute.map(({ path }) => path.join(".")),
      [],
    );
    const text = JSON.stringify(configJsonSchema(own));
    for (const word of ['"title":', '"description":', '"requiresRestart":']) {
      assert.ok(text.includes(word), `${word} is in the JSON Schema`);
    }
  });
}

reload.run();
