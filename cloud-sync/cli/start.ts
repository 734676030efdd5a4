import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { runCentre } from "../centre.ts";
import { removeRun, writeRun } from "../host/run-file.ts";
import { type Verb, verb } from "./verb.ts";

export const start: Verb = verb({
  name: "start",
  summary: "run the centre in this terminal until Ctrl-C; one line of JSON says when it is ready",
  options: {},
  example: "porchlight-cloud start --data ./data",
  operands: NO_OPERANDS,
  async run({ config: load, logger, signal, terminal }) {
    const config = load();
    const { data } = config;
    const options = {
      config,
      clock: systemClock,
      random: Math.random,
      newId: randomUUID,
      logger,
    };
    let reload: (() => Promise<void>) | undefined;
    const hangUp = (): void => void reload?.();
    process.on("SIGHUP", hangUp);
    try {
      await runCentre(
        options,
        (centre) => {
          const { addresses } = centre;
          reload = centre.reload;
          writeRun(data, { pid: process.pid, ...addresses });
          const ready = { event: "ready", ...addresses, data: resolve(data) };
          terminal.data(ready, JSON.stringify(ready));
        },
        signal,
      );
    } finally {
      process.removeListener("SIGHUP", hangUp);
      removeRun(data, process.pid);
    }
    return EXIT.ok;
  },
});
