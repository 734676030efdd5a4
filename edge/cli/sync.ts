import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { flag } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { parseEntry } from "../../shared/log/entry.ts";
import { readStatus } from "../agent/status-file.ts";
import { signingKeyPath, syncStatusPath } from "../config/paths.ts";
import { ackedWitnesses, createAckedStore, UNSIGNED_SITE } from "../log/acked.ts";
import { createKeyOutbox } from "../log/key-outbox.ts";
import { createUploadedStore } from "../log/uploaded.ts";
import type { AgentStatus } from "../sync/status.ts";
import { readAnswerVerifier } from "../vault/site-key.ts";
import { verdictOf } from "./log-verify.ts";
import { feedOf } from "./own-feed.ts";
import { runProgram } from "./run-program.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

/** The agent's word, unless its process is gone. */
function agentOf(path: string): AgentStatus | null {
  const status = readStatus(path);
  return status !== null && existsSync(`/proc/${status.pid}`) ? status : null;
}

/** What the site that is joined now has signed for; of another site nothing counts. */
function siteOf({ config, openedLog }: Pick<Invocation, "config" | "openedLog">) {
  const verifier = readAnswerVerifier(signingKeyPath(config()));
  const site = verifier?.site ?? UNSIGNED_SITE;
  return { signed: verifier !== null, site, stored: createAckedStore(openedLog().database, site) };
}

function factsOf(invocation: Invocation) {
  const { config, openedLog } = invocation;
  const { reader, database } = openedLog();
  const { site, signed, stored } = siteOf(invocation);
  const last = stored.read();
  const acked = last?.cursor ?? reader.start();
  const [oldest] = reader.after(acked, 1).entries;
  const at = oldest?.body == null ? null : parseEntry(oldest.body).at;
  const agent = agentOf(syncStatusPath(config()));
  return {
    state: agent?.state ?? "not running",
    site: signed ? site : null,
    signed,
    head: reader.head(),
    acked,
    ackedAtMs: last?.at ?? null,
    lagEntries: reader.count(acked),
    lagSeconds: at === null ? 0 : Math.max(0, Math.round((systemClock.now() - at) / 1_000)),
    bufferedBytes: reader.bytes(acked),
    budgetBytes: config().buffer.maxMiB * 1024 * 1024,
    uploads: createUploadedStore(database, site).waiting(),
    keys: createKeyOutbox(database, systemClock).waiting(),
    inFlight: agent?.inFlight ?? 0,
    halted: stored.halted(),
    retryAtMs: agent?.retryAtMs ?? null,
    reason: agent?.reason ?? null,
  };
}

export const syncStatus: Verb = verb({
  name: "sync status",
  summary: "how much of the log the centre has, and why it does not have more",
  options: {},
  example: "porchlight sync status --json",
  operands: NO_OPERANDS,
  async run(invocation) {
    const facts = factsOf(invocation);
    const { acked, ackedAtMs, head, lagEntries, lagSeconds, retryAtMs, reason, halted } = facts;
    const retry = retryAtMs === null ? "" : `, next attempt at ${dateOf(retryAtMs)}`;
    const lines = [
      `agent       ${facts.state}${retry}`,
      ...(reason === null ? [] : [`because     ${reason}`]),
      ...(halted === null ? [] : [`halted      ${halted}: porchlight sync verify`]),
      `log         ${head.seq} entries`,
      `acked       ${acked.seq}${ackedAtMs === null ? "" : `, at ${dateOf(ackedAtMs)}`}${facts.signed ? ", signed by the site" : ""}`,
      `lag         ${lagEntries} entries, ${lagSeconds} s, ${bytes(facts.bufferedBytes)} of ${bytes(facts.budgetBytes)}`,
      `uploads     ${facts.uploads} waiting`,
      ...(facts.keys === 0 ? [] : [`keys        ${facts.keys} waiting`]),
    ];
    invocation.terminal.data(facts, lines.join("\n"));
    return EXIT.ok;
  },
});

export const syncRun: Verb = verb({
  name: "sync run",
  summary: "send the log to the centre: runs the agent in this terminal until Ctrl-C",
  options: { "until-acked": flag("end as soon as the centre has everything") },
  example: "porchlight sync run --until-acked",
  operands: NO_OPERANDS,
  async run(invocation) {
    const main = fileURLToPath(new URL("../agent/main.js", import.meta.url));
    const untilAcked = invocation.values["until-acked"];
    // Where a daemon runs, it serves the agent; here this process does, which has no network.
    const feed = await feedOf(invocation);
    try {
      return await runProgram(main, invocation, { args: untilAcked ? ["--until-acked"] : [] });
    } finally {
      await feed?.stop();
    }
  },
});

export const syncVerify: Verb = verb({
  name: "sync verify",
  summary: "verify the whole log against what the centre has acknowledged",
  options: {},
  example: "porchlight sync verify",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { openedLog, terminal } = invocation;
    const opened = openedLog();
    const { stored, signed } = siteOf(invocation);
    const acked = stored.read()?.cursor ?? null;
    const witnesses = ackedWitnesses(opened.database);
    const report = opened.log.verify(witnesses);
    const { entries, fault, head, lives } = report;
    const known =
      acked === null
        ? "the centre has acknowledged nothing yet"
        : `the centre agrees, it has entry ${acked.seq}${signed ? ", signed by the site" : ""}`;
    const words = verdictOf(report);
    if (fault === null) words[0] += `; ${known}`;
    terminal.data({ log: head.log, entries, acked, fault, lives, witnesses }, words.join("\n"));
    return fault === null ? EXIT.ok : EXIT.failed;
  },
});
