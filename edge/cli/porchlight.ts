#!/usr/bin/env node
/** Starts the command line of a device, on Porchlight's own Node.js. */
import * as fs from "node:fs";
import { isOnOwnRuntime } from "../../shared/core/own-runtime.ts";

const program = { name: "porchlight", entry: import.meta.url, command: "porchlight" as const };
if (isOnOwnRuntime(program, { process, fs })) await import("./command-line.ts");
