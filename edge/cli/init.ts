import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { flag } from "../../shared/cli/options.ts";
import { NO_OPERANDS } from "../../shared/cli/verb.ts";
import { systemClock } from "../../shared/core/clock.ts";
import { EXIT } from "../../shared/core/errors.ts";
import { loadConfig } from "../config/load.ts";
import { storeOptions } from "../config/options.ts";
import { keySources } from "../config/paths.ts";
import { CONFIG_VERSION } from "../config/schema.ts";
import { createKeyFile, keyPath } from "../host/key-file.ts";
import { logPath } from "../log/open-log.ts";
import { createStore, isUnfinished } from "../store/create-store.ts";
import { type Invocation, type Verb, verb } from "./verb.ts";

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

function makeKeys(invocation: Invocation): string[] {
  const { environment } = invocation;
  const config = invocation.config();
  const made: string[] = [];
  for (const name of ["log-key", "vault-key"] as const) {
    const path = keyPath(name, keySources(name, config, environment));
    if (existsSync(path)) continue;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    createKeyFile(path);
    made.push(path);
  }
  return made;
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
    const keys = makeKeys(invocation);
    createStore(storeOptions(config, environment, systemClock, randomUUID));
    for (const path of keys) terminal.note(`made ${path}: keep a copy where this device is not`);
    const words = `store ready in ${folder}\nnext: porchlight enroll <name> <photos…> --data ${config.data}`;
    terminal.data({ data: folder, keys }, words);
    return EXIT.ok;
  },
});
