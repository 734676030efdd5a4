import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { flag } from "../../shared/cli/options.ts";
import { NO_OPERANDS, oneOperand } from "../../shared/cli/verb.ts";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT, PorchlightError } from "../../shared/core/errors.ts";
import { parseEntry } from "../../shared/log/entry.ts";
import { fingerprintOf } from "../../shared/log/site-key.ts";
import { readStatus } from "../agent/status-file.ts";
import { BUNDLE_CREDENTIAL, parseBundle, writeBundle } from "../config/bundle-file.ts";
import { bundlePath, signingKeyPath, siteKeyPath, syncStatusPath } from "../config/paths.ts";
import { credentialPath, encryptCredential } from "../install/credentials.ts";
import { layoutOf } from "../install/layout.ts";
import { ackedWitnesses, createAckedStore, UNSIGNED_SITE } from "../log/acked.ts";
import { deviceOf } from "../log/device-of.ts";
import { createKeyOutbox } from "../log/key-outbox.ts";
import { createUploadedStore } from "../log/uploaded.ts";
import { openLink } from "../sync/link.ts";
import type { AgentStatus } from "../sync/status.ts";
import { placePublicKey, readAnswerVerifier } from "../vault/site-key.ts";
import { verdictOf } from "./log-verify.ts";
import { feedOf } from "./own-feed.ts";
import { runProgram } from "./run-program.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

/** On an installed device secrets are encrypted for the machine, and only systemd reads them. */
function installedCredential(): string | null {
  const { credentials } = layoutOf("/");
  const installed = existsSync(credentialPath(credentials, "log-key"));
  return installed ? credentialPath(credentials, BUNDLE_CREDENTIAL) : null;
}

export const syncJoin: Verb = verb({
  name: "sync join",
  summary: "let this device send its log to the centre that made the bundle",
  options: { unchecked: flag("keep the bundle without trying whether the centre answers") },
  example: "porchlight sync join front-door.bundle",
  operands: oneOperand("<bundle>"),
  async run({ operands, values, config, openedLog, signal, terminal }) {
    const bundle = parseBundle(operands[0] ?? "");
    const device = deviceOf(openedLog().reader);
    if (bundle.device !== device) {
      throw new PorchlightError(
        "sync.bundle.other",
        `the bundle is for the device ${bundle.device}, this one is ${device}`,
        { hint: `in the centre: porchlight-cloud devices add ${device} --out BUNDLE` },
      );
    }
    const credential = installedCredential();
    // An installed device has the network in another process than the one that stores credentials.
    if (!values.unchecked && credential === null) {
      const nothing = { will: null, channels: [], message: () => undefined };
      const link = await openLink({ bundle, ...nothing }, signal);
      await link.close();
    }
    createKeyOutbox(openedLog().database, systemClock).requeueAll();
    placePublicKey(siteKeyPath(config()), bundle.site);
    placePublicKey(signingKeyPath(config()), bundle.signing);
    if (credential !== null) {
      encryptCredential(credential, BUNDLE_CREDENTIAL, Buffer.from(JSON.stringify(bundle)));
    } else writeBundle(bundlePath(config()), bundle);
    const next =
      credential === null
        ? "porchlight sync run"
        : "systemctl restart porchlight-sync; then see whether the centre answers: porchlight sync status";
    const { host } = new URL(bundle.url);
    const site =
      bundle.site === undefined ? null : fingerprintOf(Buffer.from(bundle.site, "base64"));
    const lines = [
      `joined the centre at ${host}`,
      ...(site === null ? [] : [`its key is ${site}: compare it with porchlight-cloud status`]),
      `next: ${next}`,
    ];
    terminal.data({ device, centre: host, siteKey: site }, lines.join("\n"));
    return EXIT.ok;
  },
});

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
        ? "it has acknowledged nothing yet"
        : `it has entry ${acked.seq}${signed ? ", signed by the site" : ""}`;
    const words = verdictOf(report);
    if (fault === null) words[0] += `; the centre agrees, ${known}`;
    terminal.data({ log: head.log, entries, acked, fault, lives, witnesses }, words.join("\n"));
    return fault === null ? EXIT.ok : EXIT.failed;
  },
});
