import { statSync } from "node:fs";
import { bytes, dateOf } from "../../shared/cli/words.ts";
import { EXIT } from "../../shared/errors.ts";
import { logPath } from "../open-log.ts";
import { vaultPath } from "../open-store.ts";
import type { Verb } from "./verb.ts";

export const status: Verb = {
  name: "status",
  usage: "",
  summary: "what this doorbell holds and what it last did",
  options: {},
  optionHelp: {},
  example: "porchlight status --json",
  operands: { min: 0, max: 0 },
  async run({ store: open, config, terminal }) {
    const store = open();
    const { gallery, visits, latest, log } = store;
    const head = log.head();
    const started = latest.of("daemon.started");
    const stopped = latest.of("daemon.stopped");
    const model = latest.of("model.activated");
    const telemetry = latest.of("telemetry.sampled");
    const [visit] = visits.list(1);
    const folder = config().data;
    const facts = {
      device: latest.of("store.opened")?.data.device ?? null,
      log: head,
      bytes: { log: statSync(logPath(folder)).size, vault: statSync(vaultPath(folder)).size },
      people: gallery.people().length,
      templates: gallery.templates().length,
      visits: visits.count(),
      pack: model === null ? null : `${model.data.name}@${model.data.version}`,
      startedAtMs: started?.atMs ?? null,
      stoppedAtMs: stopped?.atMs ?? null,
      lastVisit: visit ?? null,
      telemetry: telemetry?.data.metrics ?? null,
    };
    const size = `log ${bytes(facts.bytes.log)}, vault ${bytes(facts.bytes.vault)}`;
    const ran = started === null ? "never" : dateOf(started.atMs);
    const last =
      visit === undefined ? "none yet" : `${dateOf(visit.startedAtMs)} ${visit.outcome ?? "…"}`;
    const lines = [
      `device      ${facts.device}`,
      `log         ${head.seq} entries (${size})`,
      `people      ${facts.people}, ${facts.templates} templates`,
      `visits      ${facts.visits}, last ${last}`,
      `model pack  ${facts.pack ?? `${config().models.pack} (not started yet)`}`,
      `started     ${ran}`,
    ];
    terminal.data(facts, lines.join("\n"));
    return EXIT.ok;
  },
};
