/**
 * A program for tests that need another process at the store: to race with it, or to kill it.
 * Arguments: a command and its JSON. Answers are lines of text on standard output.
 */
import { randomUUID } from "node:crypto";
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { setImmediate as turn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { openDatabase } from "../../edge/sqlite/database.ts";
import { openStore, type Store } from "../../edge/store/open-store.ts";
import { systemClock } from "../../shared/core/clock.ts";
import type { Cursor } from "../../shared/log/cursor.ts";
import type { AnyDraft } from "../../shared/log/draft.ts";
import {
  CANARY_NAME,
  canaryFace,
  enrolled,
  erased,
  pressed,
  sampled,
  template,
  visit,
} from "./facts.ts";

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
    create,
    now: Date.now,
  });
  database.close();
  say("opened");
}

export interface WriteOrder {
  readonly folder: string;
  /** 64 hex digits each. */
  readonly logKey: string;
  readonly vaultKey: string;
  /** Appends so often; without end when null. */
  readonly rounds: number | null;
  /** `appendOnly` dies after the log knows the facts, before the vault does. */
  readonly manner: "sample" | "live" | "appendOnly";
}

function storeOf(order: WriteOrder): Store {
  return openStore({
    folder: order.folder,
    logKey: Buffer.from(order.logKey, "hex"),
    vaultKey: Buffer.from(order.vaultKey, "hex"),
    clock: systemClock,
    clockState: () => "synced",
    newId: randomUUID,
  });
}

function report(cursors: readonly Cursor[]): void {
  for (const { seq, hash } of cursors) say(`${seq} ${hash}`);
}

/** A press for each further line; ends with its input. */
function press(order: WriteOrder): void {
  const store = storeOf(order);
  input.on("line", () => report(store.append([pressed()]))).once("close", () => store.close());
}

/** Says `<seq> <hash>` of everything that `append` reported as durable. */
async function write(order: WriteOrder): Promise<void> {
  const { rounds, manner } = order;
  const store = storeOf(order);
  const append = manner === "live" ? store.append : store.log.append;
  for (let round = 0; rounds === null || round < rounds; round++) {
    const drafts = manner === "sample" ? [sampled(round)] : lifeOf(round);
    report(append(drafts));
    if (manner === "appendOnly") process.kill(process.pid, "SIGKILL");
    await turn();
  }
  store.close();
}

/** Somebody is enrolled and visits; every other one is erased again. */
function lifeOf(round: number): AnyDraft[] {
  const person = randomUUID();
  const facts = [
    enrolled(person, CANARY_NAME),
    template(person, canaryFace()),
    ...visit(randomUUID(), person),
  ];
  return round % 2 === 0 ? facts : [...facts, erased(person)];
}

const [command = "", argument = ""] = process.argv.slice(2);
const order: unknown = JSON.parse(argument);
say("ready");
const input = createInterface({ input: process.stdin });
input.once("line", () => {
  if (command !== "press") process.stdin.destroy();
  // The test that starts this program writes the order: its shape is the command's.
  if (command === "press") press(order as WriteOrder);
  else if (command === "open") open(order as OpenOrder);
  else if (command === "write") void write(order as WriteOrder);
  else throw new Error(`no command ${command}`);
});
