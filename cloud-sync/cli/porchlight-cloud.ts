#!/usr/bin/env node
/** Starts the command line of the centre, on Porchlight's own Node.js. */
import * as fs from "node:fs";
import { isOnOwnRuntime } from "../../shared/core/own-runtime.ts";

const program = {
  name: "porchlight-cloud",
  entry: import.meta.url,
  command: "porchlight-cloud" as const,
};
if (isOnOwnRuntime(program, { process, fs })) await import("./command-line.ts");
