/**
 * A program for tests that need another process at the store: to race with it, or to kill it.
 * Arguments: a command and its JSON. Answers are lines of text on standard output.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { openDatabase } from "../../edge/store/database.ts";

const STDOUT = 1;

/** Written at once and by one system call: what was said before a kill was said. */
function say(line: string): void {
  writeSync(STDOUT, `${line}\n`);
}

interface OpenOrder {
  readonly path: string;
  /** 64 hex digits. */
  readonly key: string;
  readonly migrations: string;
  readonly create: boolean;
}

function open({ path, key, migrations, create }: OpenOrder): void {
  const database = openDatabase({
    path,
    key: Buffer.from(key, "hex"),
    migrations: pathToFileURL(`${migrations}/`),
    mode: 0o600,
    create,
    now: Date.now,
  });
  database.close();
  say("opened");
}

const [command = "", argument = ""] = process.argv.slice(2);
const order: unknown = JSON.parse(argument);
say("ready");
createInterface({ input: process.stdin }).once("line", () => {
  process.stdin.destroy();
  // The test that starts this program writes the order: its shape is the command's.
  if (command === "open") open(order as OpenOrder);
  else throw new Error(`no command ${command}`);
});
