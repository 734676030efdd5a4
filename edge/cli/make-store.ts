import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { systemClock } from "../../shared/core/clock.ts";
import { storeOptions } from "../config/options.ts";
import { keySources } from "../config/paths.ts";
import { createKeyFile, keyPath } from "../host/key-file.ts";
import { createStore } from "../store/create-store.ts";
import type { Invocation } from "./verb.ts";

/** Makes the keys that are not there and an empty store, of this device or a new one; says which. */
export function makeStore(invocation: Invocation, device?: string): string[] {
  const { environment, terminal } = invocation;
  const keys = makeKeys(invocation);
  createStore(storeOptions(invocation.config(), environment, systemClock, randomUUID), device);
  for (const path of keys) terminal.note(`made ${path}: keep a copy where this device is not`);
  return keys;
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
