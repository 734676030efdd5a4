#!/usr/bin/env node
/** Starts the daemon, on Porchlight's own Node.js. */
import * as fs from "node:fs";
import { isOnOwnRuntime } from "../shared/core/own-runtime.ts";

const program = { name: "porchlight", entry: import.meta.url };
if (isOnOwnRuntime(program, { process, fs })) await import("./daemon/daemon-main.ts");
