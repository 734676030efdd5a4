import { table } from "../../shared/cli/terminal.ts";
import { number, text, usageError } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { createSinkControl, type SinkControl } from "../sinks/runner/control.ts";
import type { Invocation, Verb } from "./verb.ts";

const REJECTS_SHOWN = 1_000;

async function control({ centre }: Invocation): Promise<SinkControl> {
  return createSinkControl((await centre()).database);
}

/** --position, or every entry on the shelf. */
function positionOf({ values }: Invocation): bigint | undefined {
  const given = text(values, "position");
  if (given === undefined) return undefined;
  if (/^[1-9]\d{0,18}$/.test(given)) return BigInt(given);
  throw usageError("--position is the number that sinks rejects shows");
}

const POSITION = { options: { position: { type: "string" } } } as const;

export const sinksList: Verb = {
  name: "sinks list",
  usage: "",
  summary: "what the log is projected into, how far behind each is, and what went wrong",
  options: {},
  optionHelp: {},
  example: "porchlight-cloud sinks list",
  operands: { min: 0, max: 0 },
  async run(invocation) {
    const states = await (await control(invocation)).states();
    const rows = states.map((state) => [
      state.name,
      state.running ? "running" : "stopped",
      `${state.lagEntries} entries, ${Math.round(state.lagS)} s`,
      `${state.rejected}`,
      state.breaker,
      state.errorCode === null
        ? "-"
        : `${state.errorCode} ${dateOf(state.errorAt?.getTime() ?? 0)}`,
    ]);
    const facts = states.map(({ position, written, ...state }) => ({
      ...state,
      position: Number(position),
      written: Number(written),
    }));
    const header = ["sink", "state", "behind", "rejected", "breaker", "last error"];
    invocation.terminal.data(facts, table(header, rows));
    return EXIT.ok;
  },
};

export const sinksRejects: Verb = {
  name: "sinks rejects",
  usage: "<sink> [--after POSITION]",
  summary: "entries that a store will never accept, and why",
  options: { after: { type: "string" } },
  optionHelp: { "--after POSITION": `go on behind this one: at most ${REJECTS_SHOWN} are shown` },
  example: "porchlight-cloud sinks rejects influx",
  operands: { min: 1, max: 1 },
  async run(invocation) {
    const { operands, values, terminal } = invocation;
    const max = Number.MAX_SAFE_INTEGER;
    const after = BigInt(Math.floor(number(values, "after", { fallback: 0, min: 0, max })));
    const [sink = ""] = operands;
    const shelved = await (await control(invocation)).rejects(sink, after, REJECTS_SHOWN);
    const facts = shelved.map((each) => ({ ...each, position: Number(each.position) }));
    const rows = facts.map(({ position, log, seq, at, reason }) => [
      `${position}`,
      `entry ${seq} of ${log}`,
      dateOf(at.getTime()),
      reason,
    ]);
    terminal.data(facts, table(["position", "what", "since", "why"], rows));
    return EXIT.ok;
  },
};

export const sinksRetry: Verb = {
  name: "sinks retry",
  usage: "<sink> [--position N]",
  summary: "let a sink try again what its store has rejected",
  ...POSITION,
  optionHelp: { "--position N": "only this entry (default: all of them)" },
  example: "porchlight-cloud sinks retry influx",
  operands: { min: 1, max: 1 },
  async run(invocation) {
    const [sink = ""] = invocation.operands;
    const count = await (await control(invocation)).replayRejects(sink, positionOf(invocation));
    invocation.terminal.data({ sink, count }, `${count} entries are tried again`);
    return count > 0 ? EXIT.ok : EXIT.notFound;
  },
};

export const sinksDrop: Verb = {
  name: "sinks drop",
  usage: "<sink> [--position N] --yes",
  summary: "give up what a store has rejected; it stays in the log",
  options: { ...POSITION.options, yes: { type: "boolean" } },
  optionHelp: {
    "--position N": "only this entry (default: all of them)",
    "--yes": "the store will not have them: say that you know",
  },
  example: "porchlight-cloud sinks drop influx --position 12 --yes",
  operands: { min: 1, max: 1 },
  async run(invocation) {
    const [sink = ""] = invocation.operands;
    if (invocation.values["yes"] !== true) throw usageError("the store will not have them: --yes");
    const count = await (await control(invocation)).dropRejects(sink, positionOf(invocation));
    invocation.terminal.data({ sink, count }, `${count} entries are given up`);
    return count > 0 ? EXIT.ok : EXIT.notFound;
  },
};

export const sinksReplay: Verb = {
  name: "sinks replay",
  usage: "<sink> [--incomplete]",
  summary: "let a sink forget everything and read the log from its first entry",
  options: { incomplete: { type: "boolean" } },
  optionHelp: { "--incomplete": "also where months of the log lie in the archive alone" },
  example: "porchlight-cloud sinks replay postgres",
  operands: { min: 1, max: 1 },
  async run(invocation) {
    const [sink = ""] = invocation.operands;
    const incomplete = invocation.values["incomplete"] === true;
    await (await control(invocation)).reset(sink, { incomplete });
    invocation.terminal.data({ sink, asked: true }, `${sink} begins again from the first entry`);
    return EXIT.ok;
  },
};

export const sinksForget: Verb = {
  name: "sinks forget",
  usage: "<sink>",
  summary: "forget a sink that runs no more, so that the archive does not wait for it",
  options: {},
  optionHelp: {},
  example: "porchlight-cloud sinks forget influx",
  operands: { min: 1, max: 1 },
  async run(invocation) {
    const [sink = ""] = invocation.operands;
    await (await control(invocation)).forget(sink);
    invocation.terminal.data({ sink, forgotten: true }, `${sink} is forgotten`);
    return EXIT.ok;
  },
};
