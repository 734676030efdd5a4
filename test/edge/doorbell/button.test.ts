import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { openButton, watchButton } from "../../../edge/doorbell/button.ts";
import { systemClock } from "../../../shared/core/clock.ts";
import { silentLogger } from "../../../shared/core/logger.ts";
import { json, porchlight } from "../../support/cli.ts";
import { rejects } from "../../support/rejects.ts";
import { suite } from "../../support/suite.ts";
import { tempFolder } from "../../support/temp.ts";
import { until } from "../../support/until.ts";

const button = suite("the button");
const KEY = 28;
const temp = tempFolder("button");
button.after(() => temp.remove());

/** Writes input events, as the kernel does, into what it is given: `type code value pauseMs` each. */
const WRITER = `
const { openSync, writeSync } = require("node:fs");
const file = openSync(process.argv[1], "w");
const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
for (const event of process.argv.slice(2)) {
  const [type, code, value, ms] = event.split(" ").map(Number);
  const bytes = Buffer.alloc(24);
  bytes.writeBigInt64LE(BigInt(Math.floor(Date.now() / 1000)), 0);
  bytes.writeUInt16LE(type, 16);
  bytes.writeUInt16LE(code, 18);
  bytes.writeInt32LE(value, 20);
  // In two pieces: a pipe promises no more than its order.
  writeSync(file, bytes.subarray(0, 10));
  writeSync(file, bytes.subarray(10));
  pause(ms);
}
`;

async function write(path: string, ...events: string[]): Promise<void> {
  const child = spawn(process.execPath, ["-e", WRITER, path, ...events], { stdio: "inherit" });
  await once(child, "close");
}

function pipe(name: string): string {
  const path = join(temp.path, name);
  spawnSync("mkfifo", [path]);
  return path;
}

/** Watches until `stop`; counts the presses. */
function watch(device: string, key?: number) {
  const stop = new AbortController();
  const seen = { presses: 0, warnings: 0 };
  const ended = watchButton(
    {
      button: { device, key },
      clock: systemClock,
      random: () => 0.1,
      logger: { ...silentLogger, warn: () => void seen.warnings++ },
      pressed: () => void seen.presses++,
    },
    stop.signal,
  );
  return {
    seen,
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

button("rings at a press of its key: not when let go, held down or at another key", async () => {
  const device = pipe("keys");
  const { seen, stop } = watch(device, KEY);
  const events = [`4 4 ${KEY} 0`, `1 ${KEY} 1 0`, "0 0 0 300", `1 ${KEY} 2 300`, `1 ${KEY} 0 300`];
  await write(device, ...events, "1 30 1 300", `1 ${KEY} 1 50`);
  await until("both are seen", () => seen.presses === 2);
  await stop();
  assert.is(seen.presses, 2);
  assert.is(seen.warnings, 0);
});

button("rings once for contacts that bounce, and at any key where none is named", async () => {
  const device = pipe("bounce");
  const { seen, stop } = watch(device);
  const bounce = [1, 0, 1, 0, 1].map((value) => `1 30 ${value} 3`);
  await write(device, ...bounce, "0 0 0 400", "1 31 1 50");
  await until("both are seen", () => seen.presses === 2);
  await stop();
  assert.is(seen.presses, 2);
});

button("that is not there is told, tried again, and read once it is", async () => {
  const device = join(temp.path, "late");
  const error = await rejects(() => openButton(device), "button.unreadable");
  assert.match(error.message, "no such file");
  const { seen, stop } = watch(device, KEY);
  await until("it has warned", () => seen.warnings > 0);
  pipe("late");
  await write(device, `1 ${KEY} 1 50`);
  await until("it rings", () => seen.presses === 1);
  await stop();
});

button("is checked by doctor, and ring does the same as a press", async () => {
  const data = join(temp.path, "data");
  const config = join(temp.path, "porchlight.yaml");
  writeFileSync(config, `data: ${data}\nbutton: {device: ${temp.path}/none, name: garden}\n`);
  const at = ["--config", config];
  assert.is((await porchlight(["init", ...at])).code, 0);
  const findings = json<{ what: string; ok: boolean; found: string }[]>(
    await porchlight(["doctor", ...at, "--json"]),
  );
  const found = findings.find(({ what }) => what === "button");
  assert.is(found?.ok, false);
  assert.match(found?.found ?? "", "group input");
  const rang = json<{ seq: number; button: string }>(await porchlight(["ring", ...at, "--json"]));
  assert.equal([rang.seq, rang.button], [2, "garden"]);
  await porchlight(["ring", "--button", "gate", ...at]);
  const { out } = await porchlight(["log", "tail", "--type", "button.pressed", ...at, "--json"]);
  const buttons = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).data.button);
  assert.equal(buttons, ["garden", "gate"]);
});

button.run();
