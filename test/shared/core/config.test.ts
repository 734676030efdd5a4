import * as assert from "uvu/assert";
import { z } from "zod";
import { configJsonSchema, readConfig, settingsOf } from "../../../shared/core/config.ts";
import { variableOf } from "../../../shared/core/config-variables.ts";
import { EXIT } from "../../../shared/core/errors.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const schema = z.strictObject({
  store: z.strictObject({ folder: z.string(), budgetBytes: z.int().min(1).default(1_000) }),
  camera: z
    .union([
      z.strictObject({ kind: z.literal("files"), path: z.string() }),
      z.strictObject({ kind: z.literal("device"), framesPerSecond: z.number().max(60) }),
    ])
    .optional(),
  names: z.array(z.string()).default([]),
});

function read(text: string, environment: Record<string, string | undefined> = {}) {
  const place = { file: "door.yaml", text, environment };
  const reserved = ["DOOR_SHELL", "DOOR_BELL_"];
  return readConfig(schema, { ...place, prefix: "DOOR", reserved, program: "door" });
}

async function problems(text: string, environment: Record<string, string> = {}): Promise<string[]> {
  const error = await rejects(() => read(text, environment), "config.invalid");
  assert.is(error.exitCode, EXIT.config);
  assert.ok(error.hint?.includes("door config schema"));
  const [title, ...lines] = error.message.split("\n");
  assert.is(title, "door.yaml has mistakes:");
  return lines.map((line) => line.trim());
}

const config = suite("a configuration");

config("is read with its defaults", () => {
  const door = read("store:\n  folder: /var/lib/door\n");
  assert.equal(door, { store: { folder: "/var/lib/door", budgetBytes: 1_000 }, names: [] });
});

config("says everything that is wrong with it at once, each with its line", async () => {
  const found = await problems(
    "store:\n  folder: 7\n  budgetBytes: 0\nnames:\n  - a\n  - 2\nx: 1\n",
  );
  assert.is(found.length, 4);
  assert.match(found[0] ?? "", /^line 2: store\.folder: /);
  assert.match(found[1] ?? "", /^line 3: store\.budgetBytes: /);
  assert.match(found[2] ?? "", /^line 6: names\.1: /);
  assert.is(found[3], "line 7: x is not a setting");
});

config("names the setting that was probably meant", async () => {
  const found = await problems("store:\n  foldr: /a\n  folder: /b\ncamrea: null\n");
  assert.equal(found, [
    "line 2: store.foldr is not a setting, did you mean folder?",
    "line 4: camrea is not a setting, did you mean camera?",
  ]);
});

config("with a missing value points at the section it belongs to", async () => {
  const found = await problems("names: []\nstore:\n  budgetBytes: 5\n");
  assert.is(found.length, 1);
  assert.match(found[0] ?? "", /^line 2: store\.folder: /);
});

config("that is empty, a list or a word is told what it lacks, and nothing crashes", async () => {
  for (const text of ["", "- a\n", "hello\n", "7\n", "null\n"]) {
    assert.ok((await problems(text)).length > 0, text);
    assert.ok((await problems(text, { DOOR_STORE_BUDGET_BYTES: "x" })).length > 0, text);
  }
});

config("with broken YAML, or a key twice, gives the line", async () => {
  assert.match((await problems("store: {folder: /a\n"))[0] ?? "", /^line \d: /);
  assert.match(
    (await problems("names: []\nstore: {folder: /a}\nnames: []\n"))[0] ?? "",
    /^line 3: /,
  );
});

config("that unfolds into a bomb of aliases is refused", async () => {
  const level = (name: string, of: string) => `${name}: &${name} [${`*${of},`.repeat(9)}]\n`;
  const bomb = `a: &a [${"x,".repeat(9)}]\n${level("b", "a")}${level("c", "b")}${level("d", "c")}`;
  assert.match((await problems(`${bomb}store: {folder: /a}\n`))[0] ?? "", /alias/i);
});

config.run();

const environment = suite("the environment");

environment("overrides single values, with the same types as in the file", () => {
  const door = read("store:\n  folder: /a\n", {
    DOOR_STORE_FOLDER: "/b",
    DOOR_STORE_BUDGET_BYTES: "42",
    DOOR_NAMES: "[x, y]",
    DOOR_SHELL: "reserved: not a setting, and no mistake",
    DOOR_BELL_URL: "of another program, as all that begin so",
    PATH: "/bin",
  });
  assert.equal(door, { store: { folder: "/b", budgetBytes: 42 }, names: ["x", "y"] });
});

environment("can give what the file lacks", () => {
  assert.is(read("names: []\n", { DOOR_STORE_FOLDER: "/b" }).store.folder, "/b");
});

environment("reaches into each form of a choice", () => {
  const door = read("store: {folder: /a}\ncamera: {kind: device, framesPerSecond: 5}\n", {
    DOOR_CAMERA_FRAMES_PER_SECOND: "9",
  });
  assert.equal(door.camera, { kind: "device", framesPerSecond: 9 });
});

environment("is named in the message when its value is wrong", async () => {
  const found = await problems("store:\n  folder: /a\n", { DOOR_STORE_BUDGET_BYTES: "many" });
  assert.is(found.length, 1);
  assert.match(found[0] ?? "", /^DOOR_STORE_BUDGET_BYTES: /);
});

environment("with broken YAML in a variable is a mistake like any other", async () => {
  const found = await problems("store:\n  folder: /a\n", { DOOR_NAMES: "[x" });
  assert.is(found.length, 1);
  assert.match(found[0] ?? "", /^DOOR_NAMES: /);
});

environment("with an unknown variable says so, and which one was probably meant", async () => {
  const found = await problems("store:\n  folder: /a\n", {
    DOOR_STORE_FOLDR: "/b",
    DOOR_WINDOW: "1",
  });
  assert.ok(
    found.includes(
      "the variable DOOR_STORE_FOLDR is not a setting, did you mean DOOR_STORE_FOLDER?",
    ),
  );
  assert.ok(found.includes("the variable DOOR_WINDOW is not a setting"));
});

environment("names its variables after the path, words parted", () => {
  assert.is(variableOf("DOOR", ["models", "directory"]), "DOOR_MODELS_DIRECTORY");
  assert.is(variableOf("DOOR", ["camera", "framesPerSecond"]), "DOOR_CAMERA_FRAMES_PER_SECOND");
});

const TEXTS = [
  ...[
    "abc #def",
    '"q"',
    "'q'",
    "!bang",
    "tail ",
    " head",
    "12345678",
    "1e5",
    "0x1F",
    "true",
    "null",
  ],
  ...[
    "#x",
    "&x",
    "a: b",
    "{x}",
    "- x",
    "a:",
    "@bc",
    "%pc",
    "`x",
    "[a",
    "|pipe",
    ">gt",
    "*star",
    "?",
  ],
  ...["~", "---", "...", "a\nb", "😀", "p@ss/w?rd", "%41", "''"],
];

environment("for a text is that text as it stands, whatever YAML would make of it", () => {
  for (const text of TEXTS) {
    assert.is(read("", { DOOR_STORE_FOLDER: text }).store.folder, text);
  }
});

environment("for anything else is never quoted where it is wrong", async () => {
  for (const text of ["|s3cret", ">s3cret", "*s3cret", "[s3cret", "a: b: s3cret", "!s3cret x"]) {
    const found = await problems("store: {folder: /a}\n", {
      DOOR_NAMES: text,
      DOOR_STORE_BUDGET_BYTES: text,
    });
    assert.ok(found.length > 0, text);
    assert.not.match(found.join("\n"), "s3cret", text);
  }
  for (const text of ["store: |s3cret", "store: *s3cret", "store: {folder: >s3cret"]) {
    assert.not.match((await problems(text)).join("\n"), "s3cret", text);
  }
});

const secrets = z.strictObject({
  mqtt: z
    .strictObject({ password: z.string().optional(), user: z.string().optional() })
    .prefault({}),
});

function readSecrets(variables: Record<string, string>) {
  const files: Record<string, string> = { "/run/secrets/mqtt": " # [secret]\n" };
  return readConfig(secrets, {
    file: "door.yaml",
    text: "",
    environment: variables,
    readFile(path) {
      const found = files[path];
      if (found === undefined) throw Object.assign(new Error("no"), { code: "ENOENT" });
      return found;
    },
    prefix: "DOOR",
    reserved: [],
    program: "door",
  });
}

environment("names a file for each secret, and for nothing else", async () => {
  const file = "/run/secrets/mqtt";
  assert.is(readSecrets({ DOOR_MQTT_PASSWORD_FILE: file }).mqtt.password, " # [secret]");
  for (const [variables, words] of [
    [{ DOOR_MQTT_PASSWORD_FILE: "/gone" }, "/gone cannot be read (ENOENT)"],
    [{ DOOR_MQTT_PASSWORD_FILE: file, DOOR_MQTT_PASSWORD: "x" }, "DOOR_MQTT_PASSWORD is set, too"],
    [{ DOOR_MQTT_USER_FILE: file }, "DOOR_MQTT_USER_FILE is not a setting"],
  ] as const) {
    const { message } = await rejects(() => readSecrets(variables), "config.invalid");
    assert.match(message, words);
  }
});

environment("and files may hold secrets that are never shown", () => {
  for (const url of [
    "postgres://u@h/db?password=s3cret",
    "postgres:///db?host=/run/pg&user=u&PASSWORD=s3cret&x=1",
    "postgres://u:s3cret@ss@h:5432/db",
    "POSTGRES://u:p@s3cret@h/db",
    "rtsp://admin:s3cret/@10.0.0.1/stream",
    "https://h/x?api_key=s3cret",
    "https://h/x?access_token=s3cret#a",
  ]) {
    assert.not.match(JSON.stringify(settingsOf({ database: { url } })), "s3cret", url);
  }
  const shown = settingsOf({ mqtt: { password: "s3cret", url: "mqtt://broker:1883" } });
  assert.equal(shown, { "mqtt.password": "(set)", "mqtt.url": "mqtt://broker:1883" });
});

environment("and editors: the JSON Schema describes what may be written", () => {
  const json = JSON.parse(JSON.stringify(configJsonSchema(schema)));
  assert.equal(json.required, ["store"]);
  assert.is(json.additionalProperties, false);
});

environment.run();
