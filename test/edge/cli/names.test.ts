import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { checkedName, nameKey } from "../../../edge/cli/names.ts";
import { createTerminal } from "../../../shared/cli/terminal.ts";
import { dateOf } from "../../../shared/cli/words.ts";
import { collect, json, porchlight, userEnvironment } from "../../support/cli.ts";
import { bundledPeople, writePhotos } from "../../support/people.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";

const names = suite("names of people");
const folder = tempFolder("names");
const data = ["--data", join(folder.path, "data")];
const photos = join(folder.path, "photos");
const PROGRAM = fileURLToPath(new URL("../../../dist/edge/cli/porchlight.js", import.meta.url));

names.before(async () => {
  writePhotos(await bundledPeople(), photos);
  assert.is((await porchlight(["init", ...data])).code, 0);
});
names.after(() => folder.remove());

/** Runs a command with these lines on its standard input. */
function told(args: readonly string[], lines: string, environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: userEnvironment(environment),
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(lines);
  return collect(child);
}

names("of any script are taken, in one spelling", () => {
  for (const [typed, written] of [
    ["Zoe\u0308", "Zoë"],
    ["  Ada \u00a0 Lovelace ", "Ada Lovelace"],
    ["José Ñandú", "José Ñandú"],
    ["山田 太郎", "山田 太郎"],
    ["محمد", "محمد"],
    ["क्\u200dष", "क्\u200dष"],
    ["👩\u200d👧", "👩\u200d👧"],
    ["O’Brien-Smith", "O’Brien-Smith"],
  ] as const) {
    assert.is(checkedName(typed), written.normalize("NFC"), typed);
  }
  assert.is(nameKey("ZOE\u0308"), nameKey(" zoë "));
});

names("with anything invisible or turning are refused", () => {
  for (const wrong of [
    "",
    "  ",
    "x".repeat(101),
    "\u200b",
    "Vaclav\u200b",
    "A\u202eB",
    "A\u2066B",
    "A\u2028B",
    "A\u2029B",
    "A\u200d",
    "\u200dA",
    "A\u200d B",
    "A\ufeffB",
    "A\u00adB",
    "A\u0007B",
    "A\u001b[2J",
    "\ud800",
    "A\u3164B",
    "A\u2800B",
    "A\ue000B",
    "A\u{e0041}",
    "A\u061cB",
    "A\u180eB",
    "A\ufe0f",
  ]) {
    assert.throws(() => checkedName(wrong), /printable characters/, JSON.stringify(wrong));
  }
});

names("find their person in every spelling, by every verb", async () => {
  const enrolled = await told(["enroll", "-", join(photos, "Ada"), ...data, "--json"], "Zoë\n");
  assert.is(enrolled.code, 0, enrolled.err);
  for (const name of ["Zoë", "Zoe\u0308", " Zoë ", "zoë", "ZOE\u0308"]) {
    const shown = await porchlight(["people", "show", name, ...data, "--json"]);
    assert.is(json<{ name: string }>(shown).name, "Zoë", name);
  }
  const grace = await porchlight(["enroll", "Grace", join(photos, "Grace"), ...data]);
  assert.is(grace.code, 0);
  const renamed = await told(["people", "rename", "-", "-", ...data], "grace\nZoe\u0308\n");
  assert.is(renamed.code, 0);
  assert.match(renamed.err, /somebody else is called Zoë too/);
  const hidden = await porchlight(["people", "rename", "Zoë", "A\u202eB", ...data]);
  assert.is(hidden.code, 64);
});

names("typed as a credential are in no argument of the process", async () => {
  writeFileSync(
    join(folder.path, "arguments"),
    ["people", "list", "--json", ...data, ""].join("\0"),
  );
  const ran = await told(["@arguments"], "", { CREDENTIALS_DIRECTORY: folder.path });
  assert.is(json<unknown[]>(ran).length, 2, ran.err);
  assert.is(
    (await told(["@arguments"], "")).code,
    64,
    "without a credential it is a word like any",
  );
});

names("and all foreign text move nothing in a terminal", () => {
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text), isTTY: true };
  const terminal = createTerminal({ out: stream, err: stream, in: {} }, false);
  terminal.data({}, "camera \u001b]0;owned\u0007 \u009b2J\u202e\rname\tx\nnext");
  terminal.note("\u001b[31m");
  terminal.progress("\u001b[2J", 1, 2);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  assert.not.match(written.join("").replaceAll(/\r\u001b\[K/g, ""), /[\u001b\u0007\u009b\u202e\r]/);
  assert.match(written[0] ?? "", "\\u{001b}]0;owned");
  assert.match(written[0] ?? "", "name\tx\nnext");
});

names("a time that is no date is shown as the number it is", () => {
  for (const ms of [8.64e15 + 1, -8.65e15, Number.MAX_SAFE_INTEGER, Number.NaN, Infinity]) {
    assert.is(dateOf(ms), `${ms} ms`);
  }
  assert.match(dateOf(-1e12), /^1938-/);
  assert.match(dateOf(8.63e15), /^\+275/);
});

names.run();
