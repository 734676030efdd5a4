import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.ts";

const signals = suite("signals");
const MODULE = fileURLToPath(new URL("../../../edge/host/signals.ts", import.meta.url));
const PROGRAM = `
import { onStopAsked } from ${JSON.stringify(MODULE)};
let stops = 0;
const alive = setInterval(() => undefined, 1000);
onStopAsked(() => {
  stops++;
  setTimeout(() => { console.log("stops " + stops); clearInterval(alive); }, 300);
});
console.log("ready");
`;

for (const sent of [
  ["SIGTERM", "SIGTERM"],
  ["SIGINT", "SIGINT", "SIGINT"],
  ["SIGTERM", "SIGINT"],
] as const) {
  signals(`${sent.join(" and ")} in a stop stop once, and cut nothing short`, async () => {
    const args = [...process.execArgv, "--input-type=module-typescript", "-e", PROGRAM];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(child, "close");
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    await once(child.stdout, "data");
    for (const signal of sent) {
      child.kill(signal);
      await new Promise((done) => setTimeout(done, 20));
    }
    const [code] = await ended;
    assert.is(code, 0);
    assert.match(said, /stops 1\n$/);
  });
}

signals.run();
