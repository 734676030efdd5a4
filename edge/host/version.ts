import * as fs from "node:fs";
import { runtimeOf } from "../../shared/core/own-runtime.ts";

export const VERSION = runtimeOf(import.meta.url, { process, fs }).version;
