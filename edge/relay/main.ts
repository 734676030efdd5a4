#!/usr/bin/env node
/** Starts the relay of a network camera, on Porchlight's own Node.js. */
import * as fs from "node:fs";
import { isOnOwnRuntime } from "../../shared/core/own-runtime.ts";

const program = { name: "porchlight-camera", entry: import.meta.url };
if (isOnOwnRuntime(program, { process, fs })) await import("./relay-main.ts");
