import { parseArgs } from "node:util";
import * as assert from "uvu/assert";
import {
  confirmation,
  flag,
  helpOf,
  number,
  type OptionTable,
  parserOptions,
  readOptions,
  requiredText,
  text,
  usageOf,
} from "../../../shared/cli/options.ts";
import { EXIT } from "../../../shared/core/errors.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";

const TABLE = {
  out: requiredText("FILE", "where it goes"),
  from: text("URL", "where it comes from"),
  n: number("N", "this many", { fallback: 20, min: 0, max: 100 }),
  far: number("F", "a rate", { fallback: undefined, min: 0, max: 1, fractions: true }),
  follow: flag("go on", "f"),
};

function typed<O extends OptionTable>(table: O, ...args: string[]) {
  const { values } = parseArgs({ args, options: parserOptions(table) });
  return readOptions(table, values);
}

const options = suite("a table of options");

options("is the usage line and the help", () => {
  assert.is(usageOf(TABLE), "--out FILE [--from URL] [-n N] [--far F] [--follow]");
  assert.equal(helpOf(TABLE), [
    ["--out FILE", "where it goes"],
    ["--from URL", "where it comes from"],
    ["-n N", "this many"],
    ["--far F", "a rate"],
    ["-f, --follow", "go on"],
  ]);
  assert.is(usageOf({ yes: confirmation("it is gone then") }), "--yes");
  assert.is(usageOf({}), "");
});

options("gives each value its type, and what holds where nothing was typed", () => {
  const given = typed(TABLE, "--out", "a", "-n", "7", "--far", "1e-3", "-f", "--from", "b");
  assert.equal(given, { out: "a", from: "b", n: 7, far: 0.001, follow: true });
  const bare = typed(TABLE, "--out", "a");
  assert.equal(bare, { out: "a", from: undefined, n: 20, far: undefined, follow: false });
});

options(
  "refuses a number that is none, outside its limits, or broken where it is whole",
  async () => {
    for (const wrong of ["many", "", " ", "-1", "101", "7.5", "NaN", "Infinity", "1_0"]) {
      const error = await rejects(() => typed(TABLE, "--out", "a", `--n=${wrong}`), "cli.usage");
      assert.is(error.exitCode, EXIT.usage);
      assert.match(error.message, "-n is a whole number from 0 to 100");
    }
    assert.is(typed(TABLE, "--out", "a", "-n", "0x10").n, 16);
  },
);

options("names what is missing, and how it is written", async () => {
  const error = await rejects(() => typed(TABLE), "cli.usage");
  assert.match(error.message, "--out FILE is missing: where it goes");
});

options("does nothing that cannot be undone without --yes", async () => {
  const table = { yes: confirmation("the log ends here") };
  const error = await rejects(() => typed(table), "cli.usage");
  assert.is(error.message, "the log ends here: --yes");
  assert.equal(typed(table, "--yes"), { yes: true });
});

options.run();
