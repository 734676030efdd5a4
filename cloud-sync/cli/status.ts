import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { runtimeWords } from "../../shared/core/own-runtime.ts";
import { fingerprintOf } from "../../shared/log/site-key.ts";
import { listPresence } from "../fleet/presence.ts";
import { readRun } from "../host/run-file.ts";
import { readPublicKey } from "../keyring/site-key.ts";
import { type Verb, verb } from "./verb.ts";

export const status: Verb = verb({
  name: "status",
  summary: "whether the centre runs here and where, its devices, its logs, what needs attention",
  options: {},
  example: "porchlight-cloud status --json",
  operands: NO_OPERANDS,
  async run({ config, centre, terminal, runtime }) {
    const running = readRun(config().data);
    const { log, devices, deadLetters, database } = await centre();
    const [logs, registered, presence, letters, publicKey] = await Promise.all([
      log.logs(),
      devices.list(),
      listPresence(database),
      deadLetters.count(),
      readPublicKey(database),
    ]);
    const facts = {
      running,
      runtime,
      siteKey: publicKey === null ? null : fingerprintOf(publicKey),
      devices: {
        registered: registered.filter(({ revokedAt }) => revokedAt === null).length,
        online: presence.filter(({ online }) => online).length,
        halted: presence.filter(({ halted }) => halted !== null).length,
        lag: presence.reduce((sum, { lag }) => sum + (lag ?? 0), 0),
      },
      logs: logs.length,
      entries: logs.reduce((sum, { seq }) => sum + seq, 0),
      frozen: logs.filter(({ frozenAt }) => frozenAt !== null).length,
      deadLetters: letters,
    };
    const { registered: known, online, halted, lag } = facts.devices;
    const at = running === null ? "does not run here" : `runs, ${running.mqtt}, ${running.http}`;
    const lines = [
      `centre        ${at}`,
      `runs on       ${runtimeWords(runtime)}`,
      `its key       ${facts.siteKey ?? "made at the first start"}`,
      `devices       ${known} registered, ${online} online, ${halted} halted, ${lag} entries behind`,
      `logs          ${facts.logs}, ${facts.entries} entries`,
      ...(facts.frozen === 0 ? [] : [`frozen        ${facts.frozen}: porchlight-cloud log list`]),
      `dead letters  ${facts.deadLetters}${facts.deadLetters === 0 ? "" : ": porchlight-cloud dead-letters list"}`,
    ];
    terminal.data(facts, lines.join("\n"));
    return EXIT.ok;
  },
});
