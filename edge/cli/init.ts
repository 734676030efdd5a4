import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { flag } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { loadConfig } from "../config/load.ts";
import { CONFIG_VERSION } from "../config/schema.ts";
import { logPath } from "../log/open-log.ts";
import { isUnfinished } from "../store/create-store.ts";
import { makeStore } from "./make-store.ts";
import { type Verb, verb } from "./verb.ts";

const SAMPLE_CONFIG = `# Every setting with its default: porchlight config schema
version: ${CONFIG_VERSION}
data: DATA
# camera:
#   kind: libcamera      # Raspberry Pi; gstreamer (Jetson), ffmpeg (USB), socket (network camera)
#   name: front-door
`;

function writeSample(file: string, data: string): void {
  mkdirSync(dirname(resolve(file)), { recursive: true });
  writeFileSync(file, SAMPLE_CONFIG.replace("DATA", JSON.stringify(resolve(data))), { flag: "wx" });
}

export const init: Verb = verb({
  name: "init",
  summary: "make the keys and an empty encrypted store",
  options: { "if-missing": flag("a store that is there already is as good: for start scripts") },
  example: "porchlight init --data ./data",
  operands: NO_OPERANDS,
  async run(invocation) {
    const { terminal, environment, configFile, data, values } = invocation;
    if (configFile !== "" && !existsSync(configFile)) {
      const defaults = loadConfig({ file: undefined, data, environment });
      writeSample(configFile, defaults.data);
      terminal.note(`wrote ${configFile}`);
    }
    const config = invocation.config();
    const folder = resolve(config.data);
    const isThere = existsSync(logPath(folder)) && !isUnfinished(folder);
    if (values["if-missing"] && isThere) {
      terminal.data({ data: folder, keys: [] }, "the store is there");
      return EXIT.ok;
    }
    const keys = makeStore(invocation);
    const words = `store ready in ${folder}\nnext: porchlight enroll <name> <photos…> --data ${config.data}`;
    terminal.data({ data: folder, keys }, words);
    return EXIT.ok;
  },
});
