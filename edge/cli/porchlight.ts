#!/usr/bin/env node
/** The command line: finds the verb, checks its options, runs it, and turns errors into exits. */
import { randomUUID } from "node:crypto";
import { userInfo } from "node:os";
import { parseArgs } from "node:util";
import { systemClock } from "../../shared/clock.ts";
import { EXIT, type ExitCode, PorchlightError } from "../../shared/errors.ts";
import { didYouMean } from "../../shared/near-miss.ts";
import { type DeviceConfig, loadConfig, logOptions, storeOptions } from "../config.ts";
import { type OpenLog, openLog } from "../open-log.ts";
import { openStore, type Store } from "../open-store.ts";
import { overview, verbHelp } from "./help.ts";
import { createTerminal, type Terminal } from "./terminal.ts";
import { type Invocation, type Options, usageError, type Values, type Verb } from "./verb.ts";
import { VERBS } from "./verbs.ts";

const GLOBAL: Options = {
  config: { type: "string" },
  data: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};

/** The verb with the most words that the command line begins with. */
function findVerb(words: readonly string[]): { verb: Verb; rest: string[] } | null {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const verb = VERBS.find((each) => each.name === name);
    if (verb !== undefined) return { verb, rest: words.slice(length) };
  }
  return null;
}

function unknownVerb(words: readonly string[]): PorchlightError {
  const group = VERBS.filter(({ name }) => name.startsWith(`${words[0]} `)).map(({ name }) => name);
  if (group.length > 0 && words.length === 1) {
    return usageError(`porchlight ${words[0]} needs one more word: ${group.join(", ")}`, "");
  }
  const names = VERBS.map(({ name }) => name);
  const typed = words.slice(0, 2).join(" ");
  const hint = didYouMean(typed, names) || didYouMean(words[0] ?? "", names);
  return usageError(`porchlight ${typed} is not a command${hint}`, "");
}

function parse(verb: Verb, rest: string[]): { values: Values; operands: string[] } {
  const options = { ...GLOBAL, ...verb.options };
  const misspelled = rest
    .filter((word) => word.startsWith("--"))
    .map((word) => word.slice(2).split("=")[0] ?? "")
    .find((word) => word !== "" && !Object.hasOwn(options, word));
  if (misspelled !== undefined && rest.indexOf("--") === -1) {
    const known = Object.keys(options).map((name) => `--${name}`);
    const hint = didYouMean(`--${misspelled}`, known);
    throw usageError(`--${misspelled} is not an option of ${verb.name}${hint}`, verb.name);
  }
  try {
    const { values, positionals } = parseArgs({ args: rest, options, allowPositionals: true });
    return { values, operands: positionals };
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error), verb.name);
  }
}

function invocation(
  verb: Verb,
  { values, operands }: { values: Values; operands: readonly string[] },
  terminal: Terminal,
  signal: AbortSignal,
): { invocation: Invocation; close(): void } {
  const environment = process.env;
  const { min, max } = verb.operands;
  if (operands.length < min || operands.length > max) {
    throw usageError(`usage: porchlight ${verb.name} ${verb.usage}`, verb.name);
  }
  const data = typeof values["data"] === "string" ? values["data"] : undefined;
  const configFile =
    typeof values["config"] === "string" ? values["config"] : environment["PORCHLIGHT_CONFIG"];
  let config: DeviceConfig | undefined;
  let store: Store | undefined;
  let logOnly: OpenLog | undefined;
  const loaded = (): DeviceConfig => {
    config ??= loadConfig({ file: configFile, data, environment });
    return config;
  };
  const openedLog = (): OpenLog => {
    logOnly ??= openLog(logOptions(loaded(), environment, systemClock, randomUUID));
    return logOnly;
  };
  return {
    close() {
      store?.close();
      logOnly?.close();
    },
    invocation: {
      operands,
      values,
      terminal,
      signal,
      actor: `cli:${
        userInfo()
          .username.replaceAll(/[\s:\p{Cc}]/gu, "_")
          .slice(0, 64) || "unknown"
      }`,
      configFile: configFile ?? "",
      environment,
      config: loaded,
      store() {
        store ??= openStore(storeOptions(loaded(), environment, systemClock, randomUUID));
        return store;
      },
      log: () => openedLog().log,
      openedLog,
    },
  };
}

function report(error: unknown): ExitCode {
  if (error instanceof PorchlightError) {
    process.stderr.write(`porchlight: ${error.message}\n`);
    if (error.hint !== undefined) process.stderr.write(`  ${error.hint}\n`);
    return error.exitCode;
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
  return EXIT.failed;
}

async function main(words: string[]): Promise<ExitCode> {
  const json = words.includes("--json");
  const streams = { out: process.stdout, err: process.stderr, in: process.stdin };
  const terminal = createTerminal(streams, json);
  if (words.length === 0 || ["--help", "-h", "help"].includes(words[0] ?? "")) {
    terminal.data(
      VERBS.map(({ name, summary }) => ({ name, summary })),
      overview(VERBS),
    );
    return words.length === 0 ? EXIT.usage : EXIT.ok;
  }
  const found = findVerb(words);
  if (found === null) {
    const firstOption = words.findIndex((word) => word.startsWith("-"));
    throw unknownVerb(firstOption === -1 ? words : words.slice(0, firstOption));
  }
  const { verb, rest } = found;
  if (rest.includes("--help") || rest.includes("-h")) {
    terminal.data({ name: verb.name, usage: verb.usage }, verbHelp(verb));
    return EXIT.ok;
  }
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const made = invocation(verb, parse(verb, rest), terminal, stop.signal);
  try {
    return await verb.run(made.invocation);
  } finally {
    made.close();
    process.removeListener("SIGINT", onSignal).removeListener("SIGTERM", onSignal);
  }
}

// A reader such as `head` may leave early: that is not an error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(EXIT.ok);
});
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
