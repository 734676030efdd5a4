#!/usr/bin/env node
/** Starts the agent, on Porchlight's own Node.js. */
import * as fs from "node:fs";
import { isOnOwnRuntime } from "../../shared/core/own-runtime.ts";

const program = { name: "porchlight-sync", entry: import.meta.url };
if (isOnOwnRuntime(program, { process, fs })) await import("./agent-main.ts");
