import { confirmation, flag, number, type Option, usageError } from "../../shared/cli/options.ts";
import { table } from "../../shared/cli/terminal.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { createSinkControl, type SinkControl, type SinkState } from "../sinks/runner/control.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

const REJECTS_SHOWN = 1_000;

async function control({ centre }: Invocation): Promise<SinkControl> {
  return createSinkControl((await centre()).database);
}

/** Of a bigint in PostgreSQL. */
const POSITION_MAX = 2n ** 63n - 1n;

/** One entry, or every rejected one. */
const POSITION: Option<bigint | undefined> = {
  placeholder: "N",
  help: "only this entry, as sinks rejects shows it (default: all of them)",
  required: false,
  read(typed, label) {
    if (typeof typed !== "string") return undefined;
    if (/^[1-9]\d{0,18}$/.test(typed) && BigInt(typed) <= POSITION_MAX) return BigInt(typed);
    throw usageError(`${label} is the number that sinks rejects shows`);
  },
};

/** What is served stays as it is until what is built is level with the log. */
function rebuildWords({ rebuild }: SinkState): string {
  if (rebuild === null) return "";
  const { lagEntries, errorCode } = rebuild;
  const held = errorCode === null ? "" : `, held up by ${errorCode}`;
  return `, rebuilding (${lagEntries} entries to go${held})`;
}

export const sinksList: Verb = verb({
  name: "sinks list",
  summary: "sinks with their consumer lag, rejects, breaker and last error",
  options: {},
  example: "porchlight-cloud sinks list",
  operands: NO_OPERANDS,
  async run(invocation) {
    const states = await (await control(invocation)).states();
    const rows = states.map((state) => [
      state.name,
      `${state.running ? "running" : "stopped"}${rebuildWords(state)}`,
      `${state.lagEntries} entries, ${Math.round(state.lagS)} s`,
      state.discarded === 0
        ? `${state.rejected}`
        : `${state.rejected}, ${state.discarded} discarded`,
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
    const header = ["sink", "state", "lag", "rejected", "breaker", "last error"];
    invocation.terminal.data(facts, table(header, rows));
    return EXIT.ok;
  },
});

export const sinksRejects: Verb = verb({
  name: "sinks rejects",
  summary: "entries that a store will never accept, and why",
  options: {
    after: number("POSITION", `list those after this one: at most ${REJECTS_SHOWN} are shown`, {
      fallback: 0,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    }),
  },
  example: "porchlight-cloud sinks rejects influx",
  operands: oneOperand("<sink>"),
  async run(invocation) {
    const { operands, values, terminal } = invocation;
    const after = BigInt(values.after);
    const [sink = ""] = operands;
    const rejects = await (await control(invocation)).rejects(sink, after, REJECTS_SHOWN);
    const facts = rejects.map((each) => ({ ...each, position: Number(each.position) }));
    const rows = facts.map(({ position, log, seq, at, reason }) => [
      `${position}`,
      `entry ${seq} of ${log}`,
      dateOf(at.getTime()),
      reason,
    ]);
    terminal.data(facts, table(["position", "entry", "since", "reason"], rows));
    return EXIT.ok;
  },
});

export const sinksRetry: Verb = verb({
  name: "sinks retry",
  summary: "retry rejected entries of a sink",
  options: { position: POSITION },
  example: "porchlight-cloud sinks retry influx",
  operands: oneOperand("<sink>"),
  async run(invocation) {
    const [sink = ""] = invocation.operands;
    const count = await (await control(invocation)).replayRejects(sink, invocation.values.position);
    invocation.terminal.data({ sink, count }, `${count} entries are retried`);
    return count > 0 ? EXIT.ok : EXIT.notFound;
  },
});

export const sinksDrop: Verb = verb({
  name: "sinks drop",
  summary: "discard rejected entries of a sink; they stay in the log",
  options: { position: POSITION, yes: confirmation("the store will not have them") },
  example: "porchlight-cloud sinks drop influx --position 12 --yes",
  operands: oneOperand("<sink>"),
  async run(invocation) {
    const [sink = ""] = invocation.operands;
    const count = await (await control(invocation)).dropRejects(sink, invocation.values.position);
    invocation.terminal.data({ sink, count }, `${count} entries are discarded`);
    return count > 0 ? EXIT.ok : EXIT.notFound;
  },
});

export const sinksReplay: Verb = verb({
  name: "sinks replay",
  summary: "replay a sink from the first entry, archived months included; served until it is level",
  options: { incomplete: flag("leave out archived months that cannot be read") },
  example: "porchlight-cloud sinks replay postgres",
  operands: oneOperand("<sink>"),
  async run(invocation) {
    const [sink = ""] = invocation.operands;
    const incomplete = invocation.values.incomplete;
    await (await control(invocation)).reset(sink, { incomplete });
    invocation.terminal.data({ sink, asked: true }, `${sink} replays from the first entry`);
    return EXIT.ok;
  },
});

export const sinksForget: Verb = verb({
  name: "sinks forget",
  summary: "remove the cursor of a retired sink, so that the archive does not wait for it",
  options: { yes: confirmation("its position and its rejects are gone") },
  example: "porchlight-cloud sinks forget influx --yes",
  operands: oneOperand("<sink>"),
  async run(invocation) {
    const [sink = ""] = invocation.operands;
    await (await control(invocation)).forget(sink);
    invocation.terminal.data({ sink, forgotten: true }, `${sink} is removed`);
    return EXIT.ok;
  },
});
